-- Given: the time to live; of each table the window that counted the call, or -1.
if #known == 0 then return {} end
for i = 1, #given - 1 do
  local window, current, previous = known[3 * i - 2], known[3 * i - 1], known[3 * i]
  if window == nil or previous == nil then return {} end
  if window == given[i + 1] and current > 0 then
    known[3 * i - 1] = current - 1
  elseif window - 1 == given[i + 1] and previous > 0 then
    known[3 * i] = previous - 1
  end
end
keep(known, given[1])
return {}
