-- Ends another session of the account. ARGV: session, its ending. Answers "unknown", "ended" (it had before) or
-- "terminated" with its facts.
local session, was = ARGV[1], state(KEYS[4])
if was == '' then
  return {'unknown', 0, {}, {}}
end
if was == 'e' or was == 'x' or was == 't' or redis.call('HEXISTS', KEYS[3], session) == 1 then
  return {'ended', 0, {}, {}}
end
local facts = terminate(session, ARGV[2], now())
set_state(KEYS[4], 't')
keep()
return {'terminated', 0, {}, {facts}}
