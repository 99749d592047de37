-- ARGV token. What was brought and what was added meanwhile become the filter. 0 when either is not whole.
local of = redis.call('HMGET', KEYS[1], 'next_run_id', 'next_bits', 'next_hashes', 'next_token')
if of[4] ~= ARGV[1] or not whole(of[1], of[2], of[3], KEYS[3]) or not whole(of[1], of[2], of[3], KEYS[4]) then return 0 end
redis.call('BITOP', 'OR', KEYS[2], KEYS[3], KEYS[4])
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'run_id', of[1], 'bits', of[2], 'hashes', of[3], 'generation', of[4], 'built_at', now())
redis.call('HDEL', KEYS[1], 'next_run_id', 'next_bits', 'next_hashes', 'next_token', 'next_until')
return 1
