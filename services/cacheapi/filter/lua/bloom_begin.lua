-- ARGV token, bits, hashes, milliseconds, owner (how its tokens begin). Begins the next filter,
-- empty: from now on bloom_add sets bits there too. 0 when somebody else is building one and has time left.
local of = redis.call('HMGET', KEYS[1], 'next_run_id', 'next_until', 'next_token')
local mine = of[3] and string.sub(of[3], 1, #ARGV[5]) == ARGV[5]
if of[1] == run_id() and tonumber(of[2]) > now() and not mine then return 0 end
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('SETRANGE', KEYS[3], tonumber(ARGV[2]) / 8 - 1, '\0')
redis.call('HSET', KEYS[1], 'next_run_id', run_id(), 'next_bits', ARGV[2], 'next_hashes', ARGV[3], 'next_token', ARGV[1],
           'next_until', now() + tonumber(ARGV[4]))
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
