-- Decides about a report that renew.lua could not: of a session that timed out, that ended from elsewhere, or that Redis
-- does not know, because it was away when the session started or lost it since.
-- ARGV: session, motion, seq, opening, closing, most streams (-1: any number), started ms, unchecked (1), facts, the ending of
-- those that it goes before, its own ending when there is no place, then runs of seqs.
-- Answers "held" with the facts of each that it went before, "free" (paused for long), "ended" (by its player), "gone"
-- (timed out for good), or "terminated" with its ending as it is kept.
local session, most, started, at = ARGV[1], tonumber(ARGV[6]), tonumber(ARGV[7]), now()
local function answer(how, until_ms, texts)
  return {how, until_ms, mark(KEYS[4], 12), texts or {}}
end

local was, kept = state(KEYS[4]), redis.call('HGET', KEYS[3], session)
if kept or was == 't' then
  set_state(KEYS[4], 't')
  return answer('terminated', 0, {kept or ''})
end
if was == 'e' or was == 'x' then
  return answer(was == 'e' and 'ended' or 'gone', 0)
end

local text = redis.call('HGET', KEYS[1], session)
local lease = text and read(text) or {
  until_ms = 0, paused = 0, started = started, provisional = 0, seq = -1, position = tonumber(ARGV[5]),
}
local held = holds(lease, at)
follow(lease, ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), at)
set_state(KEYS[4], 'r')
if not held and stands(lease, at) then
  write(session, lease)
  return answer('free', 0)
end

-- Who started earlier has the right of way before those that were let in while Redis did not know better: of these, the
-- last to start go, as many as there are places too few; none where that is not enough.
local function yielding(running)
  local later = {}
  for _, other in ipairs(running) do
    if other.provisional > at and other.started > started then
      later[#later + 1] = other
    end
  end
  table.sort(later, function(one, other) return one.started > other.started end)
  local missing = most >= 0 and #running + 1 - most or 0
  return #later >= missing and {unpack(later, 1, missing)} or nil
end

local replaced = {}
if not held then
  local provisional = begin(at)
  local leaving = yielding(others(session, at))
  if not leaving and was == '' and ARGV[8] == '1' then
    terminate(session, ARGV[11], at)
    set_state(KEYS[4], 't')
    keep()
    return answer('terminated', 0, {redis.call('HGET', KEYS[3], session)})
  elseif not leaving then
    forget(session)
    set_state(KEYS[4], 'x')
    return answer('gone', 0)
  end
  for _, other in ipairs(leaving) do
    replaced[#replaced + 1] = terminate(other.session, ARGV[10], at)
  end
  if was == '' then
    lease.provisional = ARGV[8] == '1' and at + LEASE_MS or provisional
  end
  redis.call('HSETNX', KEYS[2], session, ARGV[9])
  keep()
end
return answer('held', renew(session, lease, at), replaced)
