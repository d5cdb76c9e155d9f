-- Renews the lease of a session that holds its place, and marks what Kafka acknowledged: what almost every report needs.
-- KEYS: leases, the session's own. ARGV: session, motion, seq, opening, closing (of `follow`), then runs of seqs.
-- Answers until when; 0: its player ended it; -2: paused for long, its place is free; each in a table before the seqs that
-- were marked before, when there are such; or -1: place.lua must decide, and nothing was done.
local function answer(lease_until, before)
  if #before == 0 then
    return lease_until
  end
  table.insert(before, 1, lease_until)
  return before
end

local was = state(KEYS[2])
if was == 'e' then
  return answer(0, mark(KEYS[2], 6))
end
local text = (was == 'r' or was == 's') and redis.call('HGET', KEYS[1], ARGV[1])
if not text then
  return -1
end
local lease, at = read(text), now()
local held = holds(lease, at)
follow(lease, ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), at)
if not held and not stands(lease, at) then
  return -1
end
if was == 's' then
  set_state(KEYS[2], 'r')
end
if held then
  return answer(renew(ARGV[1], lease, at), mark(KEYS[2], 6))
end
write(ARGV[1], lease)
return answer(-2, mark(KEYS[2], 6))
