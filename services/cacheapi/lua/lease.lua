-- KEYS entry, lease. ARGV token, milliseconds, early. The entry, and 1 when the caller has the lease now: where the entry
-- is not fresh, or is to be refreshed early ("1"), and nobody has it. Times are of this server's clock.
local entry = bytes_of(KEYS[1])
local now = redis.call('TIME')
if ARGV[3] ~= '1' and fresh_until(entry) > now[1] * 1000 + math.floor(now[2] / 1000) then return {entry, 0} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {entry, 1} end
return {entry, 0}
