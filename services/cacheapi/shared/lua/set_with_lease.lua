-- KEYS entry, lease. ARGV token, bytes, milliseconds. Stores for who holds the lease, and ends it.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
