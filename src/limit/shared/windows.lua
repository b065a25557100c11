-- Kept: of each width the window's number, its calls, and those of the window before.
-- Given: 1 to take or 0 to look; the own table's number; its count; of each table width, most, late.
local own, count = given[2], given[3]
local tables, ttl = {}, 0
for i = 1, (#given - 3) / 3 do
  local width, most, late = given[3 * i + 1], given[3 * i + 2], given[3 * i + 3]
  local window, elapsed = math.floor(now / width), now % width
  local stored, current, previous = known[3 * i - 2] or 0, known[3 * i - 1] or 0, known[3 * i] or 0
  if stored == window - 1 then
    current, previous = 0, current
  elseif stored > window and stored - window <= late and current + previous > 0 then
    window, elapsed = stored, 0
  elseif stored ~= window then
    current, previous = 0, 0
  end
  tables[i] = { window, current, previous, width - elapsed, width, most }
  ttl = math.max(ttl, 2 * width)
end
-- previous * rest / width, rounded up; in two steps of 12 bits, as the product may have 63.
local mine = tables[own]
local rest, width = mine[4], mine[5]
local high = math.floor(mine[3] / 4096) * rest
local low = (high % width) * 4096 + (mine[3] % 4096) * rest
local faded = math.floor(high / width) * 4096 + math.floor(low / width)
if low % width > 0 then faded = faded + 1 end
local admitted = mine[2] + faded + 1 <= count
local receipts, kept = {}, {}
for i = 1, #tables do
  local window, current, most = tables[i][1], tables[i][2], tables[i][6]
  receipts[i] = -1
  if i == own or current < most then
    tables[i][2], receipts[i] = current + 1, window
  end
  kept[3 * i - 2], kept[3 * i - 1], kept[3 * i] = window, tables[i][2], tables[i][3]
end
local take = admitted and given[1] == 1
if take then keep(kept, ttl + 1000) else mine[2] = mine[2] - 1 end
local answer = { admitted and 1 or 0, now, mine[1], mine[2], mine[3] }
for i = 1, #receipts do answer[5 + i] = receipts[i] end
return answer
