-- KEYS stream, turn. ARGV token, group, consumer, count, over. {1, cursor, entries}: for who has the turn, what has been
-- taken and not ended (over "1", oldest first), or what is new. {0}: somebody else has it, and nothing is taken: what was
-- asked before the turn was lost, and comes after, must not take what is behind the back of its successor.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {0} end
if ARGV[5] == '1' then
  local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[2], ARGV[3], 0, '0-0', 'COUNT', ARGV[4])
  return {1, claimed[1], claimed[2]}
end
local read = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS', KEYS[1], '>')
return {1, '0-0', read and read[1][2] or {}}
