-- Decides a batch of requests in one atomic call. It does what decide.cc does, on the same numbers: every expression
-- here has its twin in fixed_window.cc, sliding_log.cc, sliding_counter.cc, token_bucket.cc or gcra.cc, and a property
-- test drives both with the same requests.
--
-- KEYS     one a term, in order
-- ARGV[1]  msgpack of a flat array of numbers:
--            now (us; 0: take the server's clock), margin (ms, added to every time to live),
--            number of limits, then for each: kind, window (us), requests, burst, interval (ticks) or fill time (us),
--            number of groups, then for each: requests in it, terms in it,
--              then for each term: limit (its place in this array, from 1), hits, shadow (0 or 1)
-- returns  msgpack of: now, then for each term the state from before its group, by kind:
--            fixed window (window, count), sliding log (count, newest, blocking), sliding counter (window, current,
--            previous), token bucket (tokens, last), GCRA (tat); all zero: no state
--
-- A state is one string of packed doubles (a string of another length is none of ours and counts as no state), a sliding
-- log is a list. The time to live only collects garbage: no answer
-- depends on it. It is set when a key first enters a period of its own clock, and kept otherwise, which saves a third of
-- the cost of a write.
--
-- One long chunk on purpose: Lua makes its functions anew in every call, and ten of them cost 4 us, more than the GET
-- and the SET of a request.

local call, pack, unpack_doubles = redis.call, struct.pack, struct.unpack
local floor, ceil, format = math.floor, math.ceil, string.format
local a = cmsgpack.unpack(ARGV[1])
local now, margin = a[1], a[2]
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end
local ticks = (now - 1735689600000000) * 16
local reply, r = { now }, 1                    -- r: numbers in it
local p = 4 + 5 * a[3]                         -- where we are in a
local groups, key = a[p], 0
local rooms, saved = {}, {}                    -- of a request with several terms
p = p + 1

for _ = 1, groups do
  local requests, terms, first = a[p], a[p + 1], p + 2
  local granted = requests
  local room, w, x, y, z                       -- of the term at hand; what the look found and the charge needs

  -- Look at every term: how many of the requests it has room for. Writes only where the clock has stepped back by more
  -- than a window, and where it drops what has expired of a log.
  p = first
  for i = 1, terms do
    local k, o, hits = KEYS[key + i], a[p], a[p + 1]
    local kind, width, limit = a[o], a[o + 1], a[o + 2]
    local available
    if kind == 1 then                          -- fixed window: w window, x count, y whether it has moved on
      local value = call('GET', k)
      w, x = 0, 0
      if value and #value == 16 then w, x = unpack_doubles('<dd', value) end
      reply[r + 1], reply[r + 2] = w, x
      r = r + 2
      local index = floor(now / width)
      y = w ~= index and w ~= index + 1
      if y then
        local stepped_back = w > index
        if not stepped_back then x = 0 end
        w = index
        if stepped_back then
          call('SET', k, pack('<dd', w, x), 'PX', format('%d', ceil(((w + 1) * width - now) / 1000) + margin))
        end
      end
      available = limit - x
      if available < 0 then available = 0 end

    elseif kind == 5 then                      -- GCRA: w tat, x stored tat, y burst * interval
      local interval = a[o + 4]
      local value = call('GET', k)
      x = 0
      if value and #value == 8 then x = unpack_doubles('<d', value) end
      r = r + 1
      reply[r] = x
      y, w = a[o + 3] * interval, x
      if w < ticks then
        w = ticks
      elseif w > ticks + y then
        w = ticks + y
        call('SET', k, pack('<d', w), 'PX', format('%d', ceil(y / 8000) + margin))
      end
      available = floor((y - (w - ticks)) / interval)

    elseif kind == 4 then                      -- token bucket: w tokens, x last, y fill time
      local value = call('GET', k)
      w, x, y = 0, 0, a[o + 4]
      if value and #value == 16 then w, x = unpack_doubles('<dd', value) end
      reply[r + 1], reply[r + 2] = w, x
      r = r + 2
      local burst = a[o + 3]
      if x == 0 then
        w = burst
      else
        local elapsed = now > x and now - x or 0
        w = w + elapsed * (limit / width)
        if w > burst then w = burst end
        if x > now + y then call('SET', k, pack('<dd', w, now), 'PX', format('%d', ceil(y / 500) + margin)) end
      end
      available = floor(w)

    elseif kind == 3 or kind == 6 then         -- sliding counter: w window, x current, y moved on, z previous
      local value = call('GET', k)
      w, x, z = 0, 0, 0
      if value and #value == 24 then w, x, z = unpack_doubles('<ddd', value) end
      reply[r + 1], reply[r + 2], reply[r + 3] = w, x, z
      r = r + 3
      local index = floor(now / width)
      y = w ~= index and w ~= index + 1
      if y then
        local stepped_back = w > index
        if not stepped_back then
          z = w == index - 1 and x or 0
          x = 0
        end
        w = index
        if stepped_back then
          call('SET', k, pack('<ddd', w, x, z), 'PX', format('%d', ceil(((w + 2) * width - now) / 1000) + margin))
        end
      end
      local elapsed = now - w * width
      if elapsed < 0 then elapsed = 0 end
      available = limit - x - ceil(z * (width - elapsed) / width)
      if available < 0 then available = 0 end

    else                                       -- sliding log: w time of new entries, x newest
      local count = call('LLEN', k)
      x = 0
      if count > 0 then x = tonumber(call('LINDEX', k, -1)) end
      if x > now + width then                  -- the clock stepped back by more than a window
        call('DEL', k)
        count, x = 0, 0
      end
      w = x > now and x or now
      local expired = w - width
      if count > 0 and x <= expired then
        call('DEL', k)
        count, x = 0, 0
      elseif count > 0 and tonumber(call('LINDEX', k, 0)) <= expired then
        local low, high = 0, 1                 -- low has expired; doubling, then halving, finds the first that has not
        while high < count and tonumber(call('LINDEX', k, high)) <= expired do low, high = high, high * 2 end
        if high >= count then high = count - 1 end
        while high - low > 1 do
          local middle = floor((low + high) / 2)
          if tonumber(call('LINDEX', k, middle)) <= expired then low = middle else high = middle end
        end
        call('LTRIM', k, high, -1)
        count = count - high
      end
      available = limit - count
      if available < 0 then available = 0 end
      local step, blocking = hits > 0 and hits or 1, 0
      if step <= limit and floor(available / step) < requests then
        local excess = count + floor(available / step) * step + step - limit
        if excess <= count then blocking = tonumber(call('LINDEX', k, excess - 1)) else blocking = w end
      end
      reply[r + 1], reply[r + 2], reply[r + 3] = count, x, blocking
      r = r + 3
    end

    room = hits > 0 and floor(available / hits) or (available > 0 and requests or 0)
    if room < granted and a[p + 2] == 0 then granted = room end
    if terms > 1 then
      local q = 4 * i
      rooms[i], saved[q - 3], saved[q - 2], saved[q - 1], saved[q] = room, w, x, y, z
    end
    p = p + 3
  end

  -- Charge every term for the requests that passed: all or none. A time to live is set when the key enters a period of
  -- its own clock, and kept within it.
  p = first
  for i = 1, terms do
    local k, o, hits = KEYS[key + i], a[p], a[p + 1]
    local kind, width = a[o], a[o + 1]
    if terms > 1 then
      local q = 4 * i
      room, w, x, y, z = rooms[i], saved[q - 3], saved[q - 2], saved[q - 1], saved[q]
    end
    local charge = (room < granted and room or granted) * hits  -- fewer than granted only in shadow
    if kind == 6 then charge = requests * hits end              -- broken on purpose: counts what it rejects
    if charge > 0 then
      local value, live                        -- live: us that the state is worth something; nil: keep what is set
      if kind == 1 then
        value = pack('<dd', w, x + charge)
        if y then live = (w + 1) * width - now end
      elseif kind == 5 then
        w = w + charge * a[o + 4]
        value = pack('<d', w)
        local period = floor(w / y)
        if x == 0 or period ~= floor(x / y) then live = ((period + 1) * y - ticks) / 16 end
      elseif kind == 4 then
        value = pack('<dd', w - charge, now)
        local period = floor(now / y)
        if x == 0 or period ~= floor(x / y) then live = (period + 2) * y - now end
      elseif kind == 2 then
        local time, chunk = format('%d', w), {}
        for n = 1, charge < 1000 and charge or 1000 do chunk[n] = time end
        for _ = 1, floor(charge / 1000) do call('RPUSH', k, unpack(chunk)) end
        if charge % 1000 > 0 then call('RPUSH', k, unpack(chunk, 1, charge % 1000)) end
        local period = floor(w / width)
        if x == 0 or period ~= floor(x / width) then
          call('PEXPIRE', k, format('%d', ceil(((period + 2) * width - now) / 1000) + margin))
        end
      else
        x = x + charge
        if x > 1125899906842624 then x = 1125899906842624 end
        value = pack('<ddd', w, x, z)
        if y then live = (w + 2) * width - now end
      end
      if live then
        call('SET', k, value, 'PX', format('%d', ceil(live / 1000) + margin))
      elseif value then
        call('SET', k, value, 'KEEPTTL')
      end
    end
    p = p + 3
  end
  key = key + terms
end
return cmsgpack.pack(reply)
