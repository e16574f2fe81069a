-- Count a request in every window of a client, or in none if it does not fit into one of the windows.
-- KEYS: hashes of the client and of the networks that it is part of.
-- ARGV: cost of the request, then index of the key, seconds and limit of each window.
-- Fields for a window of N seconds: N:at its number, N:now its requests (or their cost), N:before those of the previous one.
-- Return 1 or 0 (counted or not), then for each window: previous requests, current requests, milliseconds since its start.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local windows, result, longest = {}, {1}, 0
local cost = tonumber(ARGV[1])

for i = 2, #ARGV, 3 do
  local key, name, length, limit = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 1] * 1000, tonumber(ARGV[i + 2])
  local at, since = math.floor(now / length), now % length
  local stored = redis.call('HMGET', key, name .. ':at', name .. ':now', name .. ':before')
  local age = at - (tonumber(stored[1]) or 0)
  local before, current = 0, 0
  if age == 0 then
    before, current = tonumber(stored[3]), tonumber(stored[2])
  elseif age == 1 then
    before = tonumber(stored[2])
  end
  if before * (length - since) / length + current + cost > limit then
    result[1] = 0
  end
  longest = math.max(longest, length)
  table.insert(windows, {key, name, at, before, current, since})
end

for _, window in ipairs(windows) do
  local key, name, at, before, current, since = unpack(window)
  if result[1] == 1 then
    current = current + cost
    redis.call('HSET', key, name .. ':at', at, name .. ':now', current, name .. ':before', before)
  end
  for _, value in ipairs({before, current, since}) do
    table.insert(result, value)
  end
end

if result[1] == 1 then
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, 2 * longest)
  end
end
return result
