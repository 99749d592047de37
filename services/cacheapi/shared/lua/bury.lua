-- KEYS entries, then their leases. ARGV tombstone, version, milliseconds. A tombstone instead of each entry, unless what is
-- there is newer; the leases end.
local entries = #KEYS / 2
for i = 1, entries do
  local there = version_of(bytes_of(KEYS[i]))
  if not there or there <= tonumber(ARGV[2]) then redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[3]) end
  redis.call('DEL', KEYS[entries + i])
end
return entries
