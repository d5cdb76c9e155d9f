-- What became of a claim. ARGV: session, "recorded" (Kafka has its start) or "released" (Kafka did not take it: the place
-- is free, and the session may be claimed again). KEYS: leases, the session's own.
if state(KEYS[2]) ~= 's' then
  return 0
end
if ARGV[2] == 'recorded' then
  set_state(KEYS[2], 'r')
  return 1
end
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text then
  local lease = read(text)
  lease.until_ms = 0
  write(ARGV[1], lease)
end
return 1
