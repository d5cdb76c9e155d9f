-- Sets rows of one hash, each unless it holds a row folded to the same or a later offset.
-- KEYS[1]: the hash; its tag names the profile. ARGV: ttl_s, most_rows, whether rows pass (1: those whose updated_ms
-- is over go), then for each row: field, offset, value.
-- A value is "<offset>:<updated_ms>:<row>". Returns how many rows it set.
local ttl_s, most_rows, rows_pass = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local set = 0
for at = 4, #ARGV, 3 do
    local held = redis.call('HGET', KEYS[1], ARGV[at])
    local held_offset = held and tonumber(string.match(held, '^(%d+):'))
    if not held_offset or held_offset < tonumber(ARGV[at + 1]) then
        redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 2])
        set = set + 1
    end
end
redis.call('EXPIRE', KEYS[1], ttl_s)

if rows_pass then
    local now_ms = tonumber(redis.call('TIME')[1]) * 1000
    local rows = redis.call('HGETALL', KEYS[1])
    for at = 1, #rows, 2 do
        if tonumber(string.match(rows[at + 1], '^%d+:(%d+):')) < now_ms then
            redis.call('HDEL', KEYS[1], rows[at])
        end
    end
end

local surplus = redis.call('HLEN', KEYS[1]) - most_rows
if surplus > 0 then
    local rows = redis.call('HGETALL', KEYS[1])
    local by_age = {}
    for at = 1, #rows, 2 do
        by_age[#by_age + 1] = { tonumber(string.match(rows[at + 1], '^%d+:(%d+):')), rows[at] }
    end
    table.sort(by_age, function(one, other)
        if one[1] == other[1] then return one[2] < other[2] end
        return one[1] < other[1]
    end)
    for at = 1, surplus do
        redis.call('HDEL', KEYS[1], by_age[at][2])
    end
end
return set
