-- ARGV token, offset, bytes, milliseconds. Appends a piece of what the builder has read. 0 when it is not its turn any
-- more, or a piece is missing.
if redis.call('HGET', KEYS[1], 'next_token') ~= ARGV[1] then return 0 end
if redis.call('STRLEN', KEYS[4]) ~= tonumber(ARGV[2]) then return 0 end
redis.call('APPEND', KEYS[4], ARGV[3])
redis.call('PEXPIRE', KEYS[4], ARGV[4])
return 1
