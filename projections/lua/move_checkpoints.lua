-- Moves checkpoints on, all or none: only if each is what it was when its records were folded, and what is live is, too.
-- KEYS[1]: the hash of checkpoints. KEYS[2]: the hash of when each moved last, in ms of Redis's clock. KEYS[3]: the hash
-- of what is live. KEYS[4], if any: while it is there, none moves. ARGV[1]: how often what is live had changed.
-- ARGV from 2: for each: field, before, after. Returns 1; 0 when one is gone or another; -1: held; -2: another is live.
if KEYS[4] and redis.call('EXISTS', KEYS[4]) == 1 then
    return -1
end
if (redis.call('HGET', KEYS[3], ':changes') or '') ~= ARGV[1] then
    return -2
end
for at = 2, #ARGV, 3 do
    if redis.call('HGET', KEYS[1], ARGV[at]) ~= ARGV[at + 1] then
        return 0
    end
end
local now = redis.call('TIME')
local now_ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
for at = 2, #ARGV, 3 do
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 2])
    redis.call('HSET', KEYS[2], ARGV[at], now_ms)
end
return 1
