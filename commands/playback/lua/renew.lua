-- Renews a session's lease by Redis's own clock. KEYS[1]: the session; ARGV: profile, lease ms, ttl ms.
-- A session that Redis lost is taken up again; one that ended stays ended.
if redis.call('HGET', KEYS[1], 'state') == 'ended' then
  return 0
end
local time = redis.call('TIME')
local lease_until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('HSET', KEYS[1], 'profile', ARGV[1], 'state', 'started', 'lease_until_ms', lease_until_ms)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return lease_until_ms
