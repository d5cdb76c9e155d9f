-- Has the first version of each view live of which none is.
-- KEYS[1]: the projection's checkpoints. KEYS[2]: the hash of what is live.
-- ARGV: for each: view, what to write if nothing was folded yet, what to write else.
local is_filled = redis.call('EXISTS', KEYS[1]) == 1
for at = 1, #ARGV, 3 do
    redis.call('HSETNX', KEYS[2], ARGV[at], is_filled and ARGV[at + 2] or ARGV[at + 1])
end
