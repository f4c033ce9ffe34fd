-- Leases of shared limits. Does exactly what src/model.rs and src/pool.rs do; tests/conformance.rs compares them.
--
-- KEYS: 1 the epoch (hash), 2 when nodes die (sorted set), 3 names of pools (set), 4 the pool (hash)
-- ARGV: 1 operation, 2 time in ms, 3 run ('' for both: what Redis says; tests set them), 4 epoch the asker believes
--       in, 5 epoch should a new one begin, 6 grace time in ms, 7 member of KEYS[3], then the operation's own
--
-- Fields of a pool: epoch, limit, revision, base, version, touched, and per tenure `m:<node>.<tenure>` with
-- sequence number, authority, spent, ended (0 or 1), and the last answer's five numbers.
-- Scores of KEYS[2]: the deadline, or the negative of the time the node was declared dead.
-- Answers: a word, the epoch, then numbers (as text: Lua's numbers would lose digits) and names.

local MAX = 9007199254740991
local SHARE = 16
local FORGET = 24 * 3600000

local function text(n) return string.format('%.0f', n) end
local function cut(n) return math.max(0, math.min(MAX, n)) end
local function arg(i) return tonumber(ARGV[i]) end

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local run = ARGV[3]
if run == '' then run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end
local grace = arg(6)

-- A Redis process that has been started again may have lost the last seconds, or all: a new epoch.
local era = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'ready')
local epoch, ready = era[1], tonumber(era[3])
if not epoch or not ready or era[2] ~= run then
  epoch, ready = ARGV[5], now + grace
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', run, 'ready', text(ready))
  redis.call('DEL', KEYS[2])
end
local wait = math.max(0, math.min(grace, ready - now))
local op = ARGV[1]

local function answer(word, ...)
  local list = { word, epoch }
  for _, value in ipairs({ ... }) do
    list[#list + 1] = type(value) == 'number' and text(value) or value
  end
  return list
end

if op ~= 'reap' and ARGV[4] ~= epoch then return answer('epoch', wait) end

local function score(node) return tonumber(redis.call('ZSCORE', KEYS[2], node) or nil) end

-- Since when a node is dead, or nil.
local function dead_since(node)
  local value = score(node)
  if not value then return 0 end
  if value <= 0 then return -value end
  if value >= now then return nil end
  redis.call('ZADD', KEYS[2], text(-now), node)
  return now
end

if op == 'beat' then
  local node, first, ttl = ARGV[8], ARGV[9] == '1', arg(10)
  if first then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], text(FORGET - now), text(now - FORGET))
  end
  local value = score(node)
  if (not value and not first) or (value and value <= 0) then return answer('fenced') end
  redis.call('ZADD', KEYS[2], text(now + ttl), node)
  return answer('alive', wait)
end

local function node_of(holder) return string.sub(holder, 1, 32) end
local function tenure_of(holder) return tonumber(string.sub(holder, 34)) end
local function writes_ahead(holder) return string.sub(holder, 13, 13) == '8' end

if op == 'sync' or op == 'declare' or op == 'init' then
  local value = score(node_of(ARGV[8]))
  if not value or value <= 0 then return answer('fenced') end
end

-- The pool, or nil.
local pool, members = nil, {}
local fields = redis.call('HGETALL', KEYS[4])
if #fields > 0 then
  pool = {}
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if string.sub(name, 1, 2) == 'm:' then
      local n = {}
      for number in string.gmatch(value, '%-?%d+') do n[#n + 1] = tonumber(number) end
      members[string.sub(name, 3)] = {
        seq = n[1], authority = n[2], spent = n[3], ended = n[4] == 1, last = { n[5], n[6], n[7], n[8], n[9] },
      }
    else
      pool[name] = value
    end
  end
  if pool.epoch ~= epoch then
    pool, members = nil, {}
    redis.call('DEL', KEYS[4])
    redis.call('SREM', KEYS[3], ARGV[7])
  else
    pool.limit = tonumber(pool.limit)
    pool.base, pool.version, pool.touched = tonumber(pool.base), tonumber(pool.version), tonumber(pool.touched)
  end
end

local function create()
  pool = { base = 0, version = 0, touched = now }
  redis.call('SADD', KEYS[3], ARGV[7])
end

local function save()
  redis.call('HSET', KEYS[4], 'epoch', epoch, 'base', text(pool.base), 'version', text(pool.version),
    'touched', text(pool.touched))
end

local function put(holder, m)
  members[holder] = m
  local numbers = { m.seq, m.authority, m.spent, m.ended and 1 or 0, unpack(m.last) }
  for i, number in ipairs(numbers) do numbers[i] = text(number) end
  redis.call('HSET', KEYS[4], 'm:' .. holder, table.concat(numbers, ' '))
end

local function lease(m) return m.authority - m.spent end

local function sums()
  local spent, leased = pool.base, 0
  for _, m in pairs(members) do
    if m.ended then
      spent = spent + m.authority
    else
      spent, leased = spent + m.spent, leased + lease(m)
    end
  end
  return spent, leased
end

-- Ends a tenure: what it had and did not spend is burnt.
local function finish(holder)
  local m = members[holder]
  m.ended = true
  if lease(m) == 0 then
    pool.base = math.min(MAX, pool.base + m.spent)
    members[holder] = nil
    redis.call('HDEL', KEYS[4], 'm:' .. holder)
  else
    put(holder, m)
  end
end

local function end_of_the_dead(but)
  local ending = {}
  for holder, m in pairs(members) do
    if not m.ended and holder ~= but then
      local replaced = but and node_of(holder) == node_of(but) and tenure_of(holder) < tenure_of(but)
      if replaced or dead_since(node_of(holder)) then ending[#ending + 1] = holder end
    end
  end
  for _, holder in ipairs(ending) do finish(holder) end
  return #ending
end

local function opening()
  if wait > 0 then return answer('wait', wait) end
  local list = {}
  for holder in pairs(members) do list[#list + 1] = holder end
  return answer('uninitialised', pool and pool.version or 0, now, unpack(list))
end

if op == 'sync' then
  local holder, seq = ARGV[8], arg(9)
  local m = members[holder]
  if m then
    if m.ended then return answer('forgotten') end
    if m.seq == seq then return answer('synced', unpack(m.last)) end
    if m.seq > seq then return answer('stale') end
  else
    if seq ~= 1 then return answer('forgotten') end
    for other in pairs(members) do
      if node_of(other) == node_of(holder) and tenure_of(other) > tenure_of(holder) then
        return answer('forgotten')
      end
    end
  end
  if not pool or not pool.limit then return opening() end
  local spent, give_back, want, need = cut(arg(10)), cut(arg(11)), cut(arg(12)), cut(arg(13))
  local limit, revision = cut(arg(14)), arg(15)
  end_of_the_dead(holder)
  if revision > tonumber(pool.revision) then
    pool.limit = limit
    redis.call('HSET', KEYS[4], 'limit', text(limit), 'revision', text(revision))
  end
  m = m or { seq = 0, authority = 0, spent = 0, ended = false, last = { 0, 0, 0, 0, 0 } }
  m.spent = math.max(m.spent, spent)
  m.authority = m.authority - math.min(give_back, math.max(0, lease(m)))
  -- Spent beyond the lease: that is done, and counts.
  m.authority = math.max(m.authority, m.spent)
  members[holder] = m
  local spent_all, leased_all = sums()
  local free = pool.limit - spent_all - leased_all
  local granted = 0
  if free >= need and free > 0 then
    granted = math.max(need, math.min(want, math.floor(free / SHARE)))
  end
  m.authority = m.authority + granted
  m.seq = seq
  m.last = { granted, lease(m), pool.limit, math.min(MAX, spent_all), math.min(MAX, leased_all + granted) }
  put(holder, m)
  pool.touched = now
  save()
  return answer('synced', unpack(m.last))
end

if op == 'declare' then
  local holder, seq = ARGV[8], arg(9)
  local m = members[holder]
  if m then
    if not m.ended and m.seq == seq then return answer('declared') end
    if not m.ended and m.seq > seq then return answer('stale') end
    return answer('forgotten')
  end
  -- The base counts this tenure already, as far as the durable store knew of it.
  if pool and pool.limit then return answer('forgotten') end
  local spent = cut(arg(10))
  if not pool then create() end
  put(holder, {
    seq = seq, authority = math.min(MAX, spent + cut(arg(11))), spent = spent, ended = false,
    last = { 0, 0, 0, 0, 0 },
  })
  pool.version = pool.version + 1
  pool.touched = now
  save()
  return answer('declared')
end

if op == 'init' then
  if pool and pool.limit then return answer('opened') end
  local version, opened, limit, revision, base = arg(9), arg(10), cut(arg(11)), arg(12), cut(arg(13))
  -- Who took longer than the grace time knows an old base.
  local late = now - opened > grace or opened > now
  if wait > 0 or late or version ~= (pool and pool.version or 0) then return opening() end
  if not pool then create() end
  pool.base, pool.touched = base, now
  redis.call('HSET', KEYS[4], 'limit', text(limit), 'revision', text(revision))
  save()
  return answer('opened')
end

if op == 'credit' then
  local holder, seq, spent, keep, read = ARGV[8], arg(9), cut(arg(10)), cut(arg(11)), tonumber(ARGV[12])
  -- Whoever opens it has been told its members, and counts on them.
  if pool and not pool.limit then return opening() end
  local m = members[holder]
  if not m then return answer('closed') end
  local burnt = 0
  if read then
    if not writes_ahead(holder) then return answer('unproven') end
    local since = dead_since(node_of(holder))
    if not since then return answer('alive?') end
    -- A node that lives on unheard has fenced itself by then.
    local left = since + grace - now
    if left > 0 then return answer('wait', math.min(left, grace)) end
    -- What was read before may miss a hold of that node's last moment.
    if read < since + grace or read > now then return answer('read', now) end
    m.spent = math.max(m.spent, spent)
  else
    if m.seq >= seq then return answer('credited', lease(m)) end
    m.spent = math.max(m.spent, spent)
    m.seq = seq
    burnt = math.min(keep, math.max(0, lease(m)))
  end
  m.authority = m.spent + burnt
  finish(holder)
  pool.touched = now
  save()
  return answer('credited', burnt)
end

if op == 'reap' then
  if not pool then
    redis.call('SREM', KEYS[3], ARGV[7])
    return answer('reaped', 0, 1, now)
  end
  local ended, in_use, dead = 0, false, {}
  if pool.limit then
    ended = end_of_the_dead(nil)
    local _, leased = sums()
    in_use = leased > 0
    for holder, m in pairs(members) do
      local since = m.ended and dead_since(node_of(holder))
      -- The same as in a credit: then a node that lives on unheard has fenced itself.
      if since and writes_ahead(holder) and since + grace <= now then dead[#dead + 1] = holder end
    end
  else
    -- Nobody's tenure ends before the pool is open: its opener may count on the members it was told.
    for holder, m in pairs(members) do
      local dead = dead_since(node_of(holder))
      if not dead and lease(m) > 0 then in_use = true end
    end
  end
  -- Whoever was told to open it must have given up before it goes.
  local idle = math.max(arg(8), 2 * grace)
  if not in_use and now - pool.touched > idle then
    redis.call('DEL', KEYS[4])
    redis.call('SREM', KEYS[3], ARGV[7])
    return answer('reaped', ended, 1, now)
  end
  save()
  return answer('reaped', ended, 0, now, unpack(dead))
end

return redis.error_reply('ERR unknown operation')
