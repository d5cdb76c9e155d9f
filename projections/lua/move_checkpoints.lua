-- Moves checkpoints on, all or none: only if each is what it was when its records were folded.
-- KEYS[1]: the hash of checkpoints. ARGV: for each: field, before, after. Returns 1, or 0 when one is gone or another.
for at = 1, #ARGV, 3 do
    if redis.call('HGET', KEYS[1], ARGV[at]) ~= ARGV[at + 1] then
        return 0
    end
end
for at = 1, #ARGV, 3 do
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 2])
end
return 1
