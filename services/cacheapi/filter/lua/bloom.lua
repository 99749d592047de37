-- What the scripts of the Bloom filter share. KEYS[1] is the hash that says what the bits are of: run_id, bits, hashes,
-- generation, built_at, and the same of the next ones while they are built: next_run_id, next_bits, next_hashes,
-- next_token, next_until. KEYS[2] are the bits, KEYS[3] the next ones, KEYS[4] what the builder has brought of them.

-- Of this server's process: after a restart or a failover the last bits that were set may be gone.
local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The places of a key; its hash has two numbers below 2^48 and 2^44 (bloom.h).
local function each_place(bits, hashes, first, step, visit)
  for i = 0, hashes - 1 do
    if not visit((first + i * step) % bits) then return false end
  end
  return true
end

-- Whether these bits are whole: of this process, and neither evicted nor begun anew; and their hashes some that we make
-- (bloom.h): somebody else's would keep this server busy for as long as it takes to count to them.
local function whole(id, bits, hashes, key)
  hashes = tonumber(hashes or 0)
  return id and id == run_id() and hashes and hashes >= 1 and hashes <= 64
    and redis.call('STRLEN', key) * 8 == tonumber(bits)
end
