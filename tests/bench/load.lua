-- Rotates over the users of a file: each line a user, a token and the id of one of their tasks.
-- wrk runs one copy for each of its threads.
local users = {}

function init(arguments)
  for line in io.lines(arguments[1]) do
    local user, token, task = line:match("(%S+) (%S+) (%S+)")
    users[#users + 1] = {user = user, token = token, task = task}
  end
  what = arguments[2]
  turn = math.random(#users)
end

local paths = {
  hello = function() return "/hello" end,
  list = function(one) return "/api/" .. one.user .. "/tasks" end,
  fetch = function(one) return "/api/" .. one.user .. "/tasks/" .. one.task end,
  create = function(one) return "/api/" .. one.user .. "/tasks" end,
}

function request()
  turn = turn % #users + 1
  local one = users[turn]
  local headers = {["Authorization"] = "Bearer " .. one.token, ["X-Forwarded-Proto"] = "https"}
  if what == "create" then
    headers["Content-Type"] = "application/json"
    return wrk.format("POST", paths.create(one), headers, '{"title": "Buy milk", "description": "two litres"}')
  end
  return wrk.format("GET", paths[what](one), headers)
end

function done(summary, latency)
  local errors = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, errors,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
