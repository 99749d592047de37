-- KEYS stream. How many wait, and for how many milliseconds the oldest one has.
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldest then return {0, 0} end
local now = redis.call('TIME')
local written = tonumber(string.match(oldest[1], '^%d+'))
return {redis.call('XLEN', KEYS[1]), math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - written)}
