-- What the other scripts know of an entry (entry.h) and of a tombstone: "LT" 1, u64 version, little-endian.

-- The version; nil of anything else.
local function version_of(bytes)
  if not bytes then return nil end
  local head = string.sub(bytes, 1, 3)
  if head == 'LC\1' and #bytes >= 48 then return (struct.unpack('<I8', bytes, 5)) end
  if head == 'LT\1' and #bytes == 11 then return (struct.unpack('<I8', bytes, 4)) end
  return nil
end

-- Milliseconds of the Unix epoch until which it is fresh; 0 of anything else.
local function fresh_until(bytes)
  if not bytes or string.sub(bytes, 1, 3) ~= 'LC\1' or #bytes < 48 then return 0 end
  return (struct.unpack('<i8', bytes, 21))
end

-- The bytes under a key; false when there are none. Whatever else was put there goes: then false, true.
local function bytes_of(key)
  local bytes = redis.pcall('GET', key)
  if type(bytes) ~= 'table' then return bytes end
  redis.call('DEL', key)
  return false, true
end
