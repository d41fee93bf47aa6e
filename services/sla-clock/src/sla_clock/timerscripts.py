"""What Redis runs for the timers, shard by shard: `due` is its set, `rev` its hash, under one hash tag.

A call may speak of several shards, except in a cluster. ARGV[first] to ARGV[last] are those of one shard; the
last of them holds timers, 32 bytes each: the ticket's id, the revision and the millisecond, 0 for none.

Beside the revisions under 16-byte ids the hash has two fields: `epoch` (the shard was filled) and `held` (the
lease under which somebody fires this shard: when it ends, in milliseconds with a fraction of its own).
"""

# Each answers with the server's milliseconds, so that the caller knows how far off the new timers are.
_APPLY = """
local time = redis.call('TIME')
for at = 1, #ARGV[last], 32 do
  local id, revision, score = timer(ARGV[last], at)
  local known = tonumber(redis.call('HGET', rev, id) or '-1')
  if revision > known then
    if score == 0 then
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

# Gives back what was claimed before, if anything was, and claims what is due by now: ARGV[first] is how many
# at most (0: none), then how long the lease is, the lease of before or nothing, and timers.
# While one worker holds a shard no other claims from it, or the order within the shard would be lost. It is
# the revision of a ticket's row that fences: who fires late has a lower one, and what was not due the same.
# Answers: how many timers were set, now, when the next timer rings (microseconds), and if any were claimed
# the lease, the instant up to which all were, and their ids.
_TURN = """
local time = redis.call('TIME')
local micros = string.format('%.0f', time[1] * 1000000 + time[2])
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, ended, settled = tonumber(ARGV[first]), ARGV[first + 2], 0
local function instant(millis)
  return string.format('%.0f', math.ceil(tonumber(millis)) * 1000)
end
local function rings(place)
  return redis.call('ZRANGE', due, place, place, 'WITHSCORES')[2] or '4e15'
end
local held = redis.call('HGET', rev, 'held') or '0'
local ours = ended ~= '' and held == ended
for at = 1, #ARGV[last], 32 do
  local id, revision, score = timer(ARGV[last], at)
  if revision >= tonumber(redis.call('HGET', rev, id) or '-1') then
    if score == 0 then
      redis.call('ZREM', due, id)
      redis.call('HDEL', rev, id)
    else
      redis.call('ZADD', due, score, id)
      redis.call('HSET', rev, id, revision)
    end
    settled = settled + 1
  elseif ours and tonumber(redis.call('ZSCORE', due, id) or '4e15') <= now then
    -- Its row is gone, was restored to an older revision, or has moved on and is due: the next claim asks it.
    redis.call('HSET', rev, id, revision)
  end
end
local head = rings(0)
if limit == 0 or tonumber(head) > now then
  if ours then
    redis.call('HDEL', rev, 'held')
  end
  return {settled, micros, instant(head)}
end
if not ours and tonumber(held) > now then
  return {settled, micros, instant(held)}
end
local ids = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, limit)
local horizon = now
if #ids == limit then
  horizon = redis.call('ZSCORE', due, ids[#ids])
end
local lease = string.format('%.3f', now + ARGV[first + 1] + time[2] % 1000 / 1000)
redis.call('HSET', rev, 'held', lease)
return {settled, micros, instant(rings(#ids)), lease, instant(horizon), ids}
"""

# Returns how many were missing and how many stood elsewhere. One that rings too late is moved whatever its
# revision: a restored row has a lower one, and to look too early does no harm.
_REPAIR = """
local time = redis.call('TIME')
local missing, moved = 0, 0
for at = 1, #ARGV[last], 32 do
  local id, revision, score = timer(ARGV[last], at)
  local found = redis.call('ZSCORE', due, id)
  local known = tonumber(redis.call('HGET', rev, id) or '-1')
  if not found then
    missing = missing + 1
  elseif revision > known or tonumber(found) > score or (revision == known and tonumber(found) < score) then
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
local function timer(timers, at)
  return string.sub(timers, at, at + 15), struct.unpack('>I8I8', timers, at + 16)
end
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

SCRIPTS = {name: _EACH % body for name, body in {"apply": _APPLY, "turn": _TURN, "repair": _REPAIR}.items()}
