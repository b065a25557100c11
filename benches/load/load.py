"""The load generators, wrk and h2load, and what they say."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from machine import LOAD_CORE

# Prints what the standard output of wrk does not have, and sends one of many tokens with each request where there is
# a file of them, or the next of many clients' addresses, or a body.
SCRIPT = """
local tokens, at, clients = {}, %(first)d, %(clients)d
if "%(tokens)s" ~= "" then
  for line in io.lines("%(tokens)s") do tokens[#tokens + 1] = line end
  request = function()
    at = at %% #tokens + 1
    return wrk.format("GET", nil, { ["Host"] = wrk.host, ["Authorization"] = "Bearer " .. tokens[at] })
  end
end
if clients > 0 then
  request = function()
    at = at %% clients + 1
    wrk.headers["X-Forwarded-For"] =
      string.format("11.%%d.%%d.%%d", math.floor(at / 65536), math.floor(at / 256) %% 256, at %% 256)
    return wrk.format()
  end
end
if [[%(body)s]] ~= "" then
  wrk.method, wrk.body, wrk.headers["Content-Type"] = "POST", [[%(body)s]], "application/json"
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, summary.bytes))
end
"""


@dataclass
class Result:
    requests: int
    seconds: float
    # In microseconds.
    p50: float
    p99: float
    p999: float
    # Answers of 400 and above, and connections that failed.
    refused: int
    broken: int


def wrk(url, seconds, connections=64, headers=(), tokens="", clients=0, first=0, body=""):
    """`clients` is how many addresses go round in `X-Forwarded-For`, from the `first` on."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % {"tokens": tokens, "clients": clients, "first": first, "body": body})
        script.flush()
        command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
               "--timeout", "10s"]
        for header in headers:
            command += ["-H", header]
        output = run([*command, "-s", script.name, url])
    numbers = [int(word) for word in re.search(r"^RESULT (.*)$", output, re.M)[1].split()]
    requests, microseconds, p50, p99, p999, refused, broken, _ = numbers
    return Result(requests, microseconds / 1e6, p50, p99, p999, refused, broken)


def h2load(url, seconds, connections=4, streams=16, headers=()):
    """HTTP/2."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = ["taskset", "-c", LOAD_CORE, "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}",
                   f"--log-file={log}"]
        for header in headers:
            command += ["-H", header]
        run([*command, url])
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    times = sorted(int(row[2]) for row in rows)
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
    refused = sum(int(row[1]) >= 400 for row in rows)
    broken = sum(int(row[1]) < 0 for row in rows)
    return Result(len(rows), seconds, at(0.5), at(0.99), at(0.999), refused, broken)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout
