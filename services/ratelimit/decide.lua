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

local call, pack, unpack_doubles = redis.call, struct.pack, struct.unpack
local floor, ceil = math.floor, math.ceil
local a = cmsgpack.unpack(ARGV[1])
local now, margin = a[1], a[2]
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end
local ticks = (now - 1735689600000000) * 16
local reply, replied = { now }, 1

local function live(us) return string.format('%d', ceil(us / 1000) + margin) end

-- look(key, limit, hits, requests in the group) → hits that would pass now, and what take needs to know. It writes only
--   where the clock has stepped back by more than a window, and where it drops what has expired of a log.
-- take(key, limit, hits, that) charges.
local look, take = {}, {}

look[1] = function(key, o)
  local window, count = 0, 0
  local value = call('GET', key)
  if value and #value == 16 then window, count = unpack_doubles('<dd', value) end
  reply[replied + 1], reply[replied + 2] = window, count
  replied = replied + 2
  local index = floor(now / a[o + 1])
  local moved = window ~= index and window ~= index + 1
  if moved then
    local stepped_back = window > index
    if not stepped_back then count = 0 end
    window = index
    if stepped_back then call('SET', key, pack('<dd', window, count), 'PX', live((window + 1) * a[o + 1] - now)) end
  end
  local available = a[o + 2] - count
  if available < 0 then available = 0 end
  return available, window, count, moved
end

take[1] = function(key, o, hits, window, count, moved)
  local value = pack('<dd', window, count + hits)
  if moved then
    call('SET', key, value, 'PX', live((window + 1) * a[o + 1] - now))
  else
    call('SET', key, value, 'KEEPTTL')
  end
end

look[2] = function(key, o, hits, requests)
  local width, limit = a[o + 1], a[o + 2]
  local count, newest, blocking = call('LLEN', key), 0, 0
  if count > 0 then newest = tonumber(call('LINDEX', key, -1)) end
  if newest > now + width then  -- the clock stepped back by more than a window
    call('DEL', key)
    count, newest = 0, 0
  end
  local held = newest > now and newest or now
  local expired = held - width
  if count > 0 and newest <= expired then
    call('DEL', key)
    count, newest = 0, 0
  elseif count > 0 and tonumber(call('LINDEX', key, 0)) <= expired then
    local low, high = 0, 1  -- low has expired; doubling, then halving, finds the first that has not
    while high < count and tonumber(call('LINDEX', key, high)) <= expired do low, high = high, high * 2 end
    if high >= count then high = count - 1 end
    while high - low > 1 do
      local middle = floor((low + high) / 2)
      if tonumber(call('LINDEX', key, middle)) <= expired then low = middle else high = middle end
    end
    call('LTRIM', key, high, -1)
    count = count - high
  end
  local available = limit - count
  if available < 0 then available = 0 end
  local step = hits > 0 and hits or 1
  if step <= limit and floor(available / step) < requests then
    local excess = count + floor(available / step) * step + step - limit
    if excess <= count then blocking = tonumber(call('LINDEX', key, excess - 1)) else blocking = held end
  end
  reply[replied + 1], reply[replied + 2], reply[replied + 3] = count, newest, blocking
  replied = replied + 3
  return available, held, newest, nil
end

take[2] = function(key, o, hits, held, newest)
  local time, chunk = string.format('%d', held), {}
  for i = 1, hits < 1000 and hits or 1000 do chunk[i] = time end
  for _ = 1, floor(hits / 1000) do call('RPUSH', key, unpack(chunk)) end
  if hits % 1000 > 0 then call('RPUSH', key, unpack(chunk, 1, hits % 1000)) end
  local width = a[o + 1]
  local period = floor(held / width)
  if newest == 0 or period ~= floor(newest / width) then
    call('PEXPIRE', key, live((period + 2) * width - now))
  end
end

look[3] = function(key, o)
  local width = a[o + 1]
  local window, current, previous = 0, 0, 0
  local value = call('GET', key)
  if value and #value == 24 then window, current, previous = unpack_doubles('<ddd', value) end
  reply[replied + 1], reply[replied + 2], reply[replied + 3] = window, current, previous
  replied = replied + 3
  local index = floor(now / width)
  local moved = window ~= index and window ~= index + 1
  if moved then
    local stepped_back = window > index
    if not stepped_back then
      previous = window == index - 1 and current or 0
      current = 0
    end
    window = index
    if stepped_back then
      call('SET', key, pack('<ddd', window, current, previous), 'PX', live((window + 2) * width - now))
    end
  end
  local elapsed = now - window * width
  if elapsed < 0 then elapsed = 0 end
  local available = a[o + 2] - current - ceil(previous * (width - elapsed) / width)
  if available < 0 then available = 0 end
  return available, window, current, moved, previous
end

take[3] = function(key, o, hits, window, current, moved, previous)
  current = current + hits
  if current > 1125899906842624 then current = 1125899906842624 end
  local value = pack('<ddd', window, current, previous)
  if moved then
    call('SET', key, value, 'PX', live((window + 2) * a[o + 1] - now))
  else
    call('SET', key, value, 'KEEPTTL')
  end
end

-- A sliding counter that also counts what it rejected: take gets the hits of all requests of the group.
look[6], take[6] = look[3], take[3]

look[4] = function(key, o)
  local burst, tokens, last = a[o + 3], 0, 0
  local value = call('GET', key)
  if value and #value == 16 then tokens, last = unpack_doubles('<dd', value) end
  reply[replied + 1], reply[replied + 2] = tokens, last
  replied = replied + 2
  if last == 0 then
    tokens = burst
  else
    local elapsed = now > last and now - last or 0
    tokens = tokens + elapsed * (a[o + 2] / a[o + 1])
    if tokens > burst then tokens = burst end
    local fill = a[o + 4]
    if last > now + fill then call('SET', key, pack('<dd', tokens, now), 'PX', live(2 * fill)) end
  end
  return floor(tokens), tokens, last
end

take[4] = function(key, o, hits, tokens, last)
  local value = pack('<dd', tokens - hits, now)
  local fill = a[o + 4]
  local period = floor(now / fill)
  if last == 0 or period ~= floor(last / fill) then
    call('SET', key, value, 'PX', live((period + 2) * fill - now))
  else
    call('SET', key, value, 'KEEPTTL')
  end
end

look[5] = function(key, o)
  local stored = 0
  local value = call('GET', key)
  if value and #value == 8 then stored = unpack_doubles('<d', value) end
  replied = replied + 1
  reply[replied] = stored
  local interval = a[o + 4]
  local span, tat = a[o + 3] * interval, stored
  if tat < ticks then
    tat = ticks
  elseif tat > ticks + span then
    tat = ticks + span
    call('SET', key, pack('<d', tat), 'PX', live(2 * span / 16))
  end
  return floor((span - (tat - ticks)) / interval), tat, stored, span
end

take[5] = function(key, o, hits, tat, stored, span)
  tat = tat + hits * a[o + 4]
  local value = pack('<d', tat)
  local period = floor(tat / span)
  if stored == 0 or period ~= floor(stored / span) then
    call('SET', key, value, 'PX', live(((period + 1) * span - ticks) / 16))
  else
    call('SET', key, value, 'KEEPTTL')
  end
end

local p = 4 + 5 * a[3]
local groups, key = a[p], 0
p = p + 1
local cap, w, x, y, z = {}, {}, {}, {}, {}
for _ = 1, groups do
  local requests, terms = a[p], a[p + 1]
  local first = p + 2
  local granted = requests
  p = first
  for i = 1, terms do
    local o, hits = a[p], a[p + 1]
    local available
    available, w[i], x[i], y[i], z[i] = look[a[o]](KEYS[key + i], o, hits, requests)
    local room = hits > 0 and floor(available / hits) or (available > 0 and requests or 0)
    cap[i] = room
    if a[p + 2] == 0 and room < granted then granted = room end
    p = p + 3
  end
  p = first
  for i = 1, terms do
    local o, hits = a[p], a[p + 1]
    local times = cap[i] < granted and cap[i] or granted  -- fewer only in shadow
    if a[o] == 6 then times = requests end
    local charge = times * hits
    if charge > 0 then take[a[o]](KEYS[key + i], o, charge, w[i], x[i], y[i], z[i]) end
    p = p + 3
  end
  key = key + terms
end
return cmsgpack.pack(reply)
