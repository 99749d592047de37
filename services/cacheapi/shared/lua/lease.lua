-- KEYS entry, lease. ARGV token, milliseconds, early. The entry; who is to fill it: 0 nobody, it is fresh, 1 the caller, who
-- has the lease now, 2 who has it already; and 1 when something of a wrong type was there (it is gone). With early ("1")
-- also what is fresh is to be filled. Times are of this server's clock.
local entry, wrong_type = bytes_of(KEYS[1])
wrong_type = wrong_type and 1 or 0
local now = redis.call('TIME')
if ARGV[3] ~= '1' and fresh_until(entry) > now[1] * 1000 + math.floor(now[2] / 1000) then return {entry, 0, 0} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {entry, 1, wrong_type} end
-- A lease without an end is none of ours, and nobody would ever fill.
if redis.call('PTTL', KEYS[2]) == -1 then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  return {entry, 1, wrong_type}
end
return {entry, 2, wrong_type}
