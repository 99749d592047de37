-- ARGV the key's hash. Sets its bits in the filter and in the one that is being built. What is not whole is left alone:
-- nobody relies on it, and nobody will.
local of = redis.call('HMGET', KEYS[1], 'run_id', 'bits', 'hashes', 'next_run_id', 'next_bits', 'next_hashes')
local function add(id, bits, hashes, key)
  if not whole(id, bits, hashes, key) then return 0 end
  each_place(tonumber(bits), tonumber(hashes), tonumber(ARGV[1]), tonumber(ARGV[2]), function(place)
    redis.call('SETBIT', key, place, 1)
    return true
  end)
  return 1
end
return add(of[1], of[2], of[3], KEYS[2]) + add(of[4], of[5], of[6], KEYS[3])
