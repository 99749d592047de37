-- KEYS turn. ARGV token, milliseconds. Not 0 when the caller has the turn from now on for so long: 1, it had it; 2, nobody
-- did, and what its last holder took and did not end is to be taken over.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 1 or 2
