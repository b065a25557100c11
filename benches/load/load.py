"""The load generators, wrk and h2load, and what they say."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from machine import LOAD_CORE

# Prints what the standard output of wrk does not have, and sends one of many tokens with each request where
# there is a file of them.
SCRIPT = """
local tokens, at = {}, 0
if "%(tokens)s" ~= "" then
  for line in io.lines("%(tokens)s") do tokens[#tokens + 1] = line end
  request = function()
    at = at %% #tokens + 1
    return wrk.format("GET", nil, { ["Host"] = wrk.host, ["Authorization"] = "Bearer " .. tokens[at] })
  end
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


def wrk(url, seconds, connections=64, headers=(), tokens=""):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % {"tokens": tokens})
        script.flush()
        command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        for header in headers:
            command += ["-H", header]
        output = run([*command, "-s", script.name, url])
    numbers = [int(word) for word in re.search(r"^RESULT (.*)$", output, re.M)[1].split()]
    requests, microseconds, p50, p99, p999, refused, broken, _ = numbers
    return Result(requests, microseconds / 1e6, p50, p99, p999, refused, broken)


def h2load(url, seconds, connections=4, streams=16, headers=(), rate=None):
    """HTTP/2; `rate` in requests a second asks for an even pace (open loop, as far as the streams reach)."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = ["taskset", "-c", LOAD_CORE, "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}",
                   f"--log-file={log}"]
        if rate:
            command += [f"--rps={max(1, round(rate / connections))}", "--h1", "-m1"]
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
