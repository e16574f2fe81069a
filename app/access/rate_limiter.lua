-- Counts one request in every window of a client, unless one of the windows is full; then in none.
-- KEYS[1]: hash of the client. ARGV: seconds and requests of each window.
-- Fields per window of N seconds: N:at its number, N:now the requests in it, N:before those in the one before it.
-- Returns 1 or 0 (counted or not), then for each window: requests before, now, and milliseconds since it began.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local windows, answer, longest = {}, {1}, 0

for i = 1, #ARGV, 2 do
  local name, length, most = ARGV[i], ARGV[i] * 1000, tonumber(ARGV[i + 1])
  local at, since = math.floor(now / length), now % length
  local kept = redis.call('HMGET', KEYS[1], name .. ':at', name .. ':now', name .. ':before')
  local age = at - (tonumber(kept[1]) or 0)
  local before, current = 0, 0
  if age == 0 then
    before, current = tonumber(kept[3]), tonumber(kept[2])
  elseif age == 1 then
    before = tonumber(kept[2])
  end
  if before * (length - since) / length + current + 1 > most then
    answer[1] = 0
  end
  longest = math.max(longest, length)
  table.insert(windows, {name, at, before, current, since})
end

for _, window in ipairs(windows) do
  local name, at, before, current, since = unpack(window)
  if answer[1] == 1 then
    current = current + 1
    redis.call('HSET', KEYS[1], name .. ':at', at, name .. ':now', current, name .. ':before', before)
  end
  for _, value in ipairs({before, current, since}) do
    table.insert(answer, value)
  end
end

if answer[1] == 1 then
  redis.call('PEXPIRE', KEYS[1], 2 * longest)
end
return answer
