-- Has a version of a view live, or another keep it, if its rows are folded as far as the projection's: in one step.
-- KEYS[1]: the hash of what is live. KEYS[2]: the projection's checkpoints. KEYS[3]: the version's own. KEYS[4], if any:
-- those of the version that was live, which are the projection's from now on.
-- ARGV: the view, what was live of it, what is to be, '1' if the version's own checkpoints are to be forgotten.
-- Returns 1; 0 when the version is behind; -2 when another is live.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
    return -2
end
local own = redis.call('HGETALL', KEYS[3])
if #own == 0 then
    return 0
end
local held = {}
for at = 1, #own, 2 do
    local applied = redis.call('HGET', KEYS[2], own[at])
    if applied then
        if tonumber(string.match(own[at + 1], '^%d+')) < tonumber(string.match(applied, '^%d+')) then
            return 0
        end
        held[#held + 1] = own[at]
        held[#held + 1] = applied
    end
end
if KEYS[4] and #held > 0 then
    redis.call('HSET', KEYS[4], unpack(held))
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HINCRBY', KEYS[1], ':changes', 1)
if ARGV[4] == '1' then
    redis.call('DEL', KEYS[3])
end
return 1
