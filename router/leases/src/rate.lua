-- A bucket of a rate limit. Does exactly what src/rate.rs does; tests/rate.rs compares them.
--
-- KEYS: 1 the bucket, "<at in us> <debt in ns>"; it is gone when nothing is owed
-- ARGV: 1 take or back, 2 time in us ('' for Redis' own; tests set it), 3 time of one in ns, 4 burst,
--       5 want or count, 6 need or when it was taken in us
-- Answers: count and time; or wait and ms; or never.

local function text(n) return string.format('%.0f', n) end

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local token, burst, first, second = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local at, debt = 0, 0
local known = redis.call('GET', KEYS[1])
if known then
  local a, d = string.match(known, '^(%-?%d+) (%d+)$')
  at, debt = tonumber(a), tonumber(d)
end
-- A clock that was set back stands still here.
debt = math.max(0, debt - math.max(0, now - at) * 1000)
at = math.max(at, now)

local function save()
  -- Forgotten when it is paid off; with a second more, for a clock that is set back a little.
  redis.call('SET', KEYS[1], text(at) .. ' ' .. text(debt), 'PX', text(math.ceil(debt / 1000000) + 1000))
end

if ARGV[1] == 'take' then
  local want, need = first, math.max(1, second)
  if need > burst then return { 'never' } end
  local free = burst * token - debt
  if free < need * token then
    return { 'wait', text(math.floor((need * token - free + 999999) / 1000000)) }
  end
  local count = math.max(need, math.min(want, math.floor(free / token)))
  debt = debt + count * token
  save()
  return { 'taken', text(count), text(at) }
end

-- What time has paid off since may have been the debt of these: it is gone.
local paid = math.max(0, at - second) * 1000
local back = math.max(0, math.min(burst, first)) * token - paid
back = math.max(0, math.min(debt, back))
debt = debt - back
save()
return { 'taken', text(math.floor(back / token)), text(at) }
