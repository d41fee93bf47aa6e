"""What Redis runs for the timers, shard by shard: `due` is its set, `rev` its hash, under one hash tag.

A call may speak of several shards, except in a cluster. ARGV[first] to ARGV[last] are those of one shard.

Beside the revisions under 16-byte ids the hash has three fields: `epoch` (the shard was filled), `serial`
(counts claims), `held` (the lease under which somebody fires this shard).
"""

# Each answers with the server's milliseconds, so that the caller knows how far off the new timers are.
_APPLY = """
local time = redis.call('TIME')
for i = first, last, 3 do
  local id, revision, score = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local known = tonumber(redis.call('HGET', rev, id) or '-1')
  if revision > known then
    if score == '' then
      redis.call('ZREM', due, id)
      redis.call('HDEL', rev, id)
    else
      redis.call('ZADD', due, score, id)
      redis.call('HSET', rev, id, revision)
    end
  end
end
return time[1] * 1000 + math.floor(time[2] / 1000)
"""

# A lease is the claim's instant plus the lease time, with a fraction of a millisecond that no other
# claim of that millisecond has: the score itself is the fencing token. While one worker holds a shard
# no other claims from it, or the order within the shard would be lost.
# Answers in microseconds: {now, when the next timer rings} or {now, the same, lease, horizon, ids}.
_CLAIM = """
local time = redis.call('TIME')
local micros = string.format('%.0f', time[1] * 1000000 + time[2])
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function instant(millis)
  return string.format('%.0f', math.ceil(tonumber(millis)) * 1000)
end
local function head()
  return redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2] or '4e15'
end
local rings = head()
if tonumber(rings) > now then
  return {micros, instant(rings)}
end
local state = redis.call('HMGET', rev, 'held', 'serial')
if tonumber(state[1] or '0') > now then
  return {micros, instant(state[1])}
end
local ids = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, ARGV[first])
local horizon = now
if #ids == tonumber(ARGV[first]) then
  horizon = redis.call('ZSCORE', due, ids[#ids])
end
local serial = (tonumber(state[2] or '0') + 1) % 1024
local lease = string.format('%.17g', now + ARGV[first + 1] + serial / 1024)
local leased = {}
for i, id in ipairs(ids) do
  leased[2 * i - 1], leased[2 * i] = lease, id
end
redis.call('ZADD', due, 'XX', unpack(leased))
redis.call('HSET', rev, 'serial', serial, 'held', lease)
return {micros, instant(head()), lease, instant(horizon), ids}
"""

_SETTLE = """
local settled, lease = 0, tonumber(ARGV[first])
if tonumber(redis.call('HGET', rev, 'held') or '0') == lease then
  redis.call('HDEL', rev, 'held')
end
for i = first + 1, last, 3 do
  local id, score = ARGV[i], ARGV[i + 2]
  if tonumber(redis.call('ZSCORE', due, id) or '-1') == lease then
    if score == '' then
      redis.call('ZREM', due, id)
      redis.call('HDEL', rev, id)
    else
      redis.call('ZADD', due, score, id)
      redis.call('HSET', rev, id, ARGV[i + 1])
    end
    settled = settled + 1
  end
end
return settled
"""

# Returns how many were missing and how many stood elsewhere. A score beyond the one wanted, of the same
# revision, is a lease: somebody is at work, or died and will be followed when it ends.
_REPAIR = """
local time = redis.call('TIME')
local missing, moved = 0, 0
for i = first, last, 3 do
  local id, revision, score = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local found = redis.call('ZSCORE', due, id)
  local known = tonumber(redis.call('HGET', rev, id) or '-1')
  if not found then
    missing = missing + 1
  elseif revision > known or (revision == known and tonumber(found) < tonumber(score)) then
    moved = moved + 1
  else
    score = nil
  end
  if score then
    redis.call('ZADD', due, score, id)
    redis.call('HSET', rev, id, revision)
  end
end
return {missing, moved, time[1] * 1000 + math.floor(time[2] / 1000)}
"""

# Before each shard's arguments stands how many they are.
_EACH = """
local function work(due, rev, first, last)
%s
end
local answers, at = {}, 1
for shard = 1, #KEYS / 2 do
  local last = at + tonumber(ARGV[at])
  answers[shard] = work(KEYS[2 * shard - 1], KEYS[2 * shard], at + 1, last)
  at = last + 1
end
return answers
"""

SCRIPTS = {
    name: _EACH % body
    for name, body in {"apply": _APPLY, "claim": _CLAIM, "settle": _SETTLE, "repair": _REPAIR}.items()
}
