-- {whole, generation, milliseconds since it was built, bits, hashes}
local of = redis.call('HMGET', KEYS[1], 'run_id', 'bits', 'hashes', 'generation', 'built_at')
if not whole(of[1], of[2], of[3], KEYS[2]) then return {0, '', 0, 0, 0} end
return {1, of[4], now() - tonumber(of[5]), tonumber(of[2]), tonumber(of[3])}
