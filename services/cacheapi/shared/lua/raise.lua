-- KEYS entry, lease. ARGV version, bytes, milliseconds. Replaces an older version that is there; where there is none it
-- stays so. In any case the lease ends: who fills has read before this version was told.
local there = version_of(bytes_of(KEYS[1]))
redis.call('DEL', KEYS[2])
if not there or there >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
