-- Claims a session for a profile. KEYS[1]: the session; ARGV: profile, lease ms, ttl ms.
-- Replies "claimed", or the state that it is in already. A claim that was never confirmed may be claimed again by its
-- profile: the process that claimed it died before Kafka had the event.
local state = redis.call('HGET', KEYS[1], 'state')
if state and not (state == 'starting' and redis.call('HGET', KEYS[1], 'profile') == ARGV[1]) then
  return state
end
local time = redis.call('TIME')
local lease_until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('HSET', KEYS[1], 'profile', ARGV[1], 'state', 'starting', 'lease_until_ms', lease_until_ms)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'claimed'
