"""What Redis does in one step: Lua, so that nobody sees half of it, and a crash leaves all or nothing.

Keys behind the prefix P (all in one hash slot):

    Pnext          the next seq                     Pids      hash of an id -> hash of content, hash of user, seq
    Pblock:N       seq -> record, 512 lines each    Ptombs    hash of user -> the last seq that is forgotten
    Pring:USER     sorted set, all scores equal, so sorted by its members' bytes: time, seq, body
    Puser:USER     r revision, n count, u id, k:KIND counters
    Ppeople        hashes of users with a ring      Pfacts    hash of a name -> value
    Pderived:V     user -> revision, bytes          Pversions hashes of versions that derived something

What is derived is written with REPL_NONE: it is in memory only and costs no fsync; after a restart it is made anew.
(Numbers are formatted with %.0f: Lua writes 1e+14 else. Byte strings are never compared by order: that is the
locale's.)
"""

from __future__ import annotations

BLOCK = 512
"""Lines of the ledger under one key."""

_SHARED = """
local p = KEYS[1]
local function text(n) return string.format('%.0f', n) end
local function bytes(n) return struct.pack('>I4I4', math.floor(n / 4294967296), n % 4294967296) end
"""

APPEND = (
    _SHARED
    + f"local block = {BLOCK}"
    + """
local keep, ring = tonumber(ARGV[1]), ARGV[2] == '1'
local seq = tonumber(redis.call('GET', p .. 'next') or '0')
local first, outcomes, touched, places = seq, {}, {}, {}
for i = 3, #ARGV, 7 do
  local id, content, user, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local known = redis.call('HGET', p .. 'ids', id)
  if not known then
    redis.call('HSET', p .. 'block:' .. text(math.floor(seq / block)), text(seq), user .. id .. body)
    redis.call('HSET', p .. 'ids', id, content .. user .. text(seq))
    if ring then
      if not touched[user] then
        touched[user] = {}
        places[#places + 1] = user
      end
      local new = touched[user]
      new[#new + 1] = {seq, i}
    end
    outcomes[#outcomes + 1] = seq
    seq = seq + 1
  elseif string.sub(known, 1, 16) ~= content then
    outcomes[#outcomes + 1] = -2
  else
    local tomb = redis.call('HGET', p .. 'tombs', user)
    local covered = tomb and tonumber(string.sub(known, 33)) <= tonumber(tomb)
    outcomes[#outcomes + 1] = covered and -3 or -1
  end
end
if seq > first then redis.call('SET', p .. 'next', text(seq)) end
local moved = {}
for _, user in ipairs(places) do
  local new, held, key = {}, p .. 'ring:' .. user, p .. 'user:' .. user
  local before = tonumber(redis.call('HGET', key, 'r') or '0')
  for _, pair in ipairs(touched[user]) do
    local i = pair[2]
    local member = ARGV[i + 4] .. bytes(pair[1]) .. ARGV[i + 3]
    redis.call('ZADD', held, 0, member)
    redis.call('HINCRBY', key, 'k:' .. ARGV[i + 5], 1)
    new[member] = pair[1]
  end
  redis.call('HINCRBY', key, 'n', #touched[user])
  local expired, added, after = {}, {}, before
  local over = redis.call('ZCARD', held) - keep
  if over > 0 then
    local out = redis.call('ZPOPMIN', held, over)
    for j = 1, #out, 2 do
      if new[out[j]] then new[out[j]] = nil else expired[#expired + 1] = out[j] end
    end
  end
  for _, at in pairs(new) do added[#added + 1] = at end
  if #added > 0 or #expired > 0 then after = touched[user][#touched[user]][1] + 1 end
  redis.call('HSET', key, 'r', text(after), 'u', ARGV[touched[user][1][2] + 6])
  redis.call('ZADD', p .. 'people', 0, user)
  if #added > 0 or #expired > 0 then moved[#moved + 1] = {touched[user][1][1], before, after, added, expired} end
end
return {outcomes, moved}
"""
)

FORGET = (
    _SHARED
    + """
local user, last = ARGV[1], tonumber(redis.call('GET', p .. 'next') or '0') - 1
if last < 0 then return 0 end
local count = redis.call('HGET', p .. 'user:' .. user, 'n') or '0'
redis.call('HSET', p .. 'tombs', user, text(last))
redis.call('UNLINK', p .. 'user:' .. user, p .. 'ring:' .. user)
redis.call('ZREM', p .. 'people', user)
for _, version in ipairs(redis.call('SMEMBERS', p .. 'versions')) do
  redis.call('HDEL', p .. 'derived:' .. version, user)
end
return tonumber(count)
"""
)

DERIVE = (
    _SHARED
    + """
redis.set_repl(redis.REPL_NONE)
local kept = 0
for i = 2, #ARGV, 3 do
  local now = redis.call('HGET', p .. 'user:' .. ARGV[i], 'r')
  if now and now == ARGV[i + 1] then
    redis.call('HSET', p .. 'derived:' .. ARGV[1], ARGV[i], bytes(tonumber(now)) .. ARGV[i + 2])
    kept = kept + 1
  end
end
if kept > 0 then redis.call('SADD', p .. 'versions', ARGV[1]) end
return kept
"""
)

LIFT = (
    _SHARED
    + """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', p .. 'tombs', ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', p .. 'tombs', ARGV[i]) end
end
return 0
"""
)

SETTLE = (
    _SHARED
    + """
local name, how = ARGV[1], ARGV[2]
local now = redis.call('HGET', p .. 'facts', name)
if how == 'absent' and now then return 0 end
if how == 'equal' and now ~= ARGV[3] then return 0 end
if ARGV[4] == 'set' then redis.call('HSET', p .. 'facts', name, ARGV[5]) else redis.call('HDEL', p .. 'facts', name) end
return 1
"""
)
