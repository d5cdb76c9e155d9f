-- Notes that endings are published. KEYS[1]: endings; ARGV: sessions.
for _, session in ipairs(ARGV) do
  local kept = redis.call('HGET', KEYS[1], session)
  if kept then
    redis.call('HSET', KEYS[1], session, '1' .. string.sub(kept, 2))
  end
end
return 0
