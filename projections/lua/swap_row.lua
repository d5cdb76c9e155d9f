-- Sets one row of a hash, if what is there is still what it was made from.
-- KEYS[1]: the hash. ARGV: field, what is there ('' for nothing), the new value, ttl_s. Returns 1, or 0 when another
-- was written meanwhile.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
