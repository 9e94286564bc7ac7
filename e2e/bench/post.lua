-- wrk's side of the bench: POSTs the body of the file named first with the key named second, ends with one JSON object.
init = function(arguments)
  wrk.method = "POST"
  wrk.body = io.open(arguments[1]):read("*a")
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. arguments[2]
end

done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"errors":%d,"p50_us":%d,"p99_us":%d}\n', summary.requests,
    summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
