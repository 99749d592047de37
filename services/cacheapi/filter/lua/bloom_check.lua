-- ARGV the key's hash. 1 it may exist, 0 it does not, -1 nobody knows: the filter is not whole.
local of = redis.call('HMGET', KEYS[1], 'run_id', 'bits', 'hashes')
if not whole(of[1], of[2], of[3], KEYS[2]) then return -1 end
local there = each_place(tonumber(of[2]), tonumber(of[3]), tonumber(ARGV[1]), tonumber(ARGV[2]), function(place)
  return redis.call('GETBIT', KEYS[2], place) == 1
end)
return there and 1 or 0
