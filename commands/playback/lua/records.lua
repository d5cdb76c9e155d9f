-- What every script of the leases begins with. Before it stand, from settings: LEASE_MS, PAUSED_SLOT_MS, TTL_MS (how
-- long anything is kept), KEPT (entries of an account), SEQS (of a session that are remembered), CODE_CHARS.
--
-- KEYS, all in the account's slot:
--   [1] leases, a hash: session -> "until paused_since started provisional seq position", in ms; paused_since 0: it
--       plays. provisional: until when a session that started earlier goes before it; 0: none does. Field `since`: when
--       Redis began to know the account.
--   [2] facts, a hash: session -> its termination code, then its snapshot as JSON. Written at starts only.
--   [3] endings, a hash: session -> "told at ending": whether it is published, since when, and its JSON.
--   [4] the session's own: a letter of its state (s starting, r running, e ended by its player, x expired, t terminated,
--       o offline), then a bit for each seq that Kafka acknowledged.
-- A script that renews takes [1] and [4] only, as its first and second.
--
-- Those that decide answer {how it went, until when the lease is, {seqs marked before}, {texts}}.

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read(text)
  local until_ms, paused, started, provisional, seq, position =
    string.match(text, '(%d+) (%d+) (%d+) (%d+) (%-?%d+) (%d+)')
  return {
    until_ms = tonumber(until_ms), paused = tonumber(paused), started = tonumber(started),
    provisional = tonumber(provisional), seq = tonumber(seq), position = tonumber(position),
  }
end

local function write(session, lease)
  redis.call('HSET', KEYS[1], session, string.format('%.0f %.0f %.0f %.0f %.0f %.0f',
    lease.until_ms, lease.paused, lease.started, lease.provisional, lease.seq, lease.position))
end

-- Whether a session was paused for so long that its place is free.
local function stands(lease, at)
  return lease.paused > 0 and at - lease.paused >= PAUSED_SLOT_MS
end

local function holds(lease, at)
  return lease.until_ms > at and not stands(lease, at)
end

-- What a report says of whether its session plays: motion is "plays", "paused" or "" (it does not say; then a playhead
-- further than before does). What comes late says nothing.
local function follow(lease, motion, seq, opening, closing, at)
  if seq < lease.seq then
    return
  end
  if motion == 'plays' or (motion == '' and opening > lease.position) then
    lease.paused = 0
  elseif motion == 'paused' and lease.paused == 0 then
    lease.paused = at
  end
  lease.seq, lease.position = seq, closing
end

local function renew(session, lease, at)
  lease.until_ms = at + LEASE_MS
  if lease.paused > 0 then
    lease.until_ms = math.min(lease.until_ms, lease.paused + PAUSED_SLOT_MS)
  end
  write(session, lease)
  return lease.until_ms
end

local function state(key)
  return redis.call('GETRANGE', key, 0, 0)
end

local function set_state(key, letter)
  if redis.call('SETRANGE', key, 0, letter) == 1 then
    redis.call('PEXPIRE', key, TTL_MS)
  end
end

-- Marks seqs as acknowledged by Kafka: runs of them, as first and count, from ARGV[from] on. Answers which of them, as
-- numbered in the report's order from 0, were marked before.
local function mark(key, from)
  local before, index = {}, 0
  for n = from, #ARGV, 2 do
    for seq = ARGV[n], ARGV[n] + ARGV[n + 1] - 1 do
      if seq < SEQS and redis.call('SETBIT', key, seq + 8, 1) == 1 then
        before[#before + 1] = index
      end
      index = index + 1
    end
  end
  return before
end

local function forget(session)
  redis.call('HDEL', KEYS[1], session)
  redis.call('HDEL', KEYS[2], session)
end

-- Until when leases that are granted now are provisional, because Redis has known the account for less than a lease:
-- it may have lost sessions, which come back with their next report.
local function begin(at)
  if redis.call('HSETNX', KEYS[1], 'since', at) == 1 then
    redis.call('PEXPIRE', KEYS[1], TTL_MS)
  end
  local until_ms = redis.call('HGET', KEYS[1], 'since') + LEASE_MS
  return until_ms > at and until_ms or 0
end

local function keep()
  for n = 1, 3 do
    redis.call('PEXPIRE', KEYS[n], TTL_MS)
  end
end

-- The account's other sessions that hold a place, each with its lease; of those that do not, the oldest go.
local function others(session, at)
  local running, all = {}, {}
  local fields = redis.call('HGETALL', KEYS[1])
  for n = 1, #fields, 2 do
    if fields[n] ~= 'since' and fields[n] ~= session then
      local lease = read(fields[n + 1])
      lease.session, lease.holds = fields[n], holds(lease, at)
      all[#all + 1] = lease
      if lease.holds then
        running[#running + 1] = lease
      end
    end
  end
  if #all >= KEPT then
    table.sort(all, function(one, other)
      if one.holds ~= other.holds then
        return other.holds
      end
      return one.until_ms < other.until_ms
    end)
    for n = 1, #all - KEPT + 1 do
      forget(all[n].session)
    end
  end
  return running
end

local function trim_endings()
  if redis.call('HLEN', KEYS[3]) <= KEPT then
    return
  end
  local fields, oldest, oldest_at = redis.call('HGETALL', KEYS[3]), nil, math.huge
  for n = 1, #fields, 2 do
    local ended_at = tonumber(string.match(fields[n + 1], '^%d (%d+) '))
    if ended_at < oldest_at then
      oldest, oldest_at = fields[n], ended_at
    end
  end
  redis.call('HDEL', KEYS[3], oldest)
end

-- Ends a session from elsewhere; answers its facts, which its event is made of.
local function terminate(session, ending, at)
  local facts = redis.call('HGET', KEYS[2], session)
  forget(session)
  redis.call('HSET', KEYS[3], session, string.format('0 %.0f ', at) .. ending)
  trim_endings()
  return facts or ''
end
