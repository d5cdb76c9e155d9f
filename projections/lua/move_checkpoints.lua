-- Moves checkpoints on, all or none: only if each is what it was when its records were folded.
-- KEYS[1]: the hash of checkpoints. KEYS[2]: the hash of when each moved last, in ms of Redis's clock.
-- ARGV: for each: field, before, after. Returns 1, or 0 when one is gone or another.
for at = 1, #ARGV, 3 do
    if redis.call('HGET', KEYS[1], ARGV[at]) ~= ARGV[at + 1] then
        return 0
    end
end
local now = redis.call('TIME')
local now_ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
for at = 1, #ARGV, 3 do
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 2])
    redis.call('HSET', KEYS[2], ARGV[at], now_ms)
end
return 1
