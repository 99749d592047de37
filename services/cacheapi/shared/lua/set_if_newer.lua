-- KEYS entry, lease. ARGV version, bytes, milliseconds. Stores unless the entry, or the tombstone, that is there is of a
-- newer version. One of the same version is replaced: an entry may hold old data under a new version, a tombstone waits
-- for just this one. A lease ends: who holds it may have read what was there before, and would store it unasked.
local there = version_of(bytes_of(KEYS[1]))
if there and there > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
