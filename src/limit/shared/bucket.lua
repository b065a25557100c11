-- Kept: a time and the debt as of then; a slot's number, calls held since it began, and since the one before.
-- Given: what to do; interval, capacity, units in a millisecond, longest interval, deepest debt; 1 to hold
-- calls; then of a call that is over its slot and its time.
local SLOT = 600000
local todo, interval, capacity, units, longest, deepest = unpack(given, 1, 6)
local holds = given[7] == 1
local slot = math.floor(now / SLOT)
local base, debt = known[1] or now, known[2] or 0
local held, before = known[4] or 0, known[5] or 0
local function left() return math.max(debt - math.max(now - base, 0) * units, 0) end
-- Calls that were held too long: their gateway is gone, or will never tell. They have failed.
local stored = known[3] or slot
local lost = 0
if stored == slot - 1 then
  lost, before, held = before, held, 0
elseif stored < slot then
  lost, before, held = before + held, 0, 0
else
  slot = stored
end
if lost > 0 then
  debt = math.min(left() + lost * longest, deepest)
  base = now
end
local changed, admitted = lost > 0, false
if todo <= 1 then
  admitted = left() + (held + before + 1) * interval <= capacity * interval
  if admitted and todo == 1 then
    changed = true
    if holds then held = held + 1 else base, debt = now, left() + interval end
  end
elseif todo == 2 then
  -- As if it had never been counted.
  changed, base, debt = #known > 0, now, math.max(left() - interval, 0)
else
  -- 3: it succeeded, 4: it failed, which counts as of its time.
  local its = false
  if given[8] == slot and held > 0 then
    held, its = held - 1, true
  elseif given[8] == slot - 1 and before > 0 then
    before, its = before - 1, true
  end
  if its and todo == 4 then
    local since = math.max(debt - (now - base) * units, (given[9] - now) * units)
    base, debt = now, math.max(since + interval, 0)
  end
  changed = changed or its
end
if changed then
  local ttl = math.ceil(left() / units) + 1000
  if held + before > 0 then ttl = ttl + 2 * SLOT end
  keep({ base, debt, slot, held, before }, ttl)
end
return { admitted and 1 or 0, now, left(), held + before, slot }
