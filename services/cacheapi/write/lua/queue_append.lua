-- KEYS stream. ARGV bound, then fields and values. The id of the new entry; "" when so many are waiting already.
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return '' end
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
