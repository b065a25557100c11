-- Times are this server's, so that no gateway's clock matters. Numbers are doubles: whole up to 2^53.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+') do
  known[#known + 1] = tonumber(number)
end
local given = {}
for i = 1, #ARGV do given[i] = tonumber(ARGV[i]) end
-- Value and time to live in one step: no key is ever without.
local function keep(numbers, ttl)
  for i = 1, #numbers do numbers[i] = string.format('%.0f', numbers[i]) end
  redis.call('SET', KEYS[1], table.concat(numbers, ' '), 'PX', string.format('%.0f', ttl))
end
