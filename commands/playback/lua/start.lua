-- Claims a session and takes a place for it. ARGV: session, profile, most streams (-1: any number), started ms, whether
-- Redis was away lately (1), facts, the ending of those that it replaces, then the termination codes of these.
-- Answers "claimed" with the facts of each that it replaced, "limit" with facts and paused_since of each that runs, or the
-- letter of the state that it is in. All that is asked to end ends, or nothing when there were no place even so.
-- A claim that was never confirmed may be claimed again by its profile: the process that made it died before Kafka had
-- the event.
local session, most, at = ARGV[1], tonumber(ARGV[3]), now()
local was = redis.call('HEXISTS', KEYS[3], session) == 1 and 't' or state(KEYS[4])
if was ~= '' then
  local facts = was == 's' and redis.call('HGET', KEYS[2], session)
  if not facts or cjson.decode(string.sub(facts, CODE_CHARS + 1)).profile_id ~= ARGV[2] then
    return {was, 0, {}, {}}
  end
end

local provisional = begin(at)
if ARGV[5] == '1' then
  provisional = at + LEASE_MS
end
local asked = {}
for n = 8, #ARGV do
  asked[ARGV[n]] = true
end
local running, limit, ending = others(session, at), {}, {}
for _, lease in ipairs(running) do
  local facts = redis.call('HGET', KEYS[2], lease.session) or ''
  if asked[string.sub(facts, 1, CODE_CHARS)] then
    ending[#ending + 1] = lease.session
  end
  limit[#limit + 1] = facts
  limit[#limit + 1] = tostring(lease.paused)
end
if most >= 0 and #running - #ending >= most then
  return {'limit', 0, {}, limit}
end

local replaced = {}
for _, other in ipairs(ending) do
  replaced[#replaced + 1] = terminate(other, ARGV[7], at)
end
redis.call('HSET', KEYS[2], session, ARGV[6])
redis.call('SET', KEYS[4], 's', 'PX', TTL_MS)
write(session, {
  until_ms = at + LEASE_MS, paused = 0, started = tonumber(ARGV[4]), provisional = provisional, seq = -1, position = 0,
})
keep()
return {'claimed', at + LEASE_MS, {}, replaced}
