-- Ends a session for good. ARGV: session, the letter of how (e: by its player, x: expired), then runs of seqs that Kafka
-- acknowledged. Answers "ended", or "terminated" with its ending as it is kept.
local session, was, kept = ARGV[1], state(KEYS[4]), redis.call('HGET', KEYS[3], ARGV[1])
if kept or was == 't' then
  set_state(KEYS[4], 't')
  return {'terminated', 0, mark(KEYS[4], 3), {kept or ''}}
end
forget(session)
if was ~= 'e' and was ~= 'x' then
  set_state(KEYS[4], ARGV[2])
end
return {'ended', 0, mark(KEYS[4], 3), {}}
