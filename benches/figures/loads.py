"""Figures under load: how much is served, how much of it under too much, while the configuration changes, and whether
log and metrics have each request once. Each brings rows of figure, bound, what was measured, and whether it is reached."""

import json
import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from scene import Process, ask, free_ports


def wrk(url, seconds, connections=64, headers=()):
    """Requests, answers of 400 and above, broken connections, p99 in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", said)[1])
    refused = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    broken = sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors:.*", said))
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return requests, refused, broken, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def throughput(stage):
    seconds, authorization = 60, f"Authorization: Bearer {stage.token}"
    requests, refused, broken, p99 = wrk(stage.gateway.url("/full/a"), seconds, headers=[authorization])
    rate, said = requests / seconds, ""
    is_fast = True
    if stage.options.bare:
        [port] = free_ports(1)
        bare = Process([stage.options.bare, port, stage.quick.values["gateway"]], port, stage.folder / "bare.log")
        try:
            share = rate / (wrk(f"http://127.0.0.1:{port}/full/a", 15)[0] / 15)
        finally:
            bare.stop()
        said, is_fast = f", {share:.0%} of bare Pingora's rate", share >= 0.7
    yield (
        "60 s at 64 connections with token, role and limit", "no error; 70 % of bare Pingora's rate",
        f"{refused + broken} errors, {rate:.0f} requests a second, p99 {p99:.1f} ms{said}",
        refused + broken == 0 and is_fast,
    )


def overload(stage):
    """The narrow upstream takes 40 at a time, each for 100 ms: some 400 a second."""
    url, admin = stage.gateway.url("/slow/a"), f"http://127.0.0.1:{stage.gateway.values['admin']}/healthz"
    capacity = wrk(url, 10, connections=40)[0] / 10
    over, times = threading.Event(), []

    def probe():
        while not over.wait(0.05):
            begun = time.monotonic()
            status, _ = ask(admin)
            times.append((time.monotonic() - begun) * 1000 if status == 200 else float("inf"))

    prober = threading.Thread(target=probe)
    prober.start()
    rows = evenly(url, 3 * capacity, 30, stage.folder)
    over.set()
    prober.join()
    statuses = Counter(status for _, status, _ in rows)
    share = statuses[200] / 30 / capacity
    refusals = sorted(took / 1000 for _, status, took in rows if status == 503)
    half, p99 = refusals[len(refusals) // 2], refusals[len(refusals) * 99 // 100]
    others = {status: count for status, count in statuses.items() if status not in (200, 503, -1)}
    yield (
        "3 times too much for 30 s: served", "80 % of capacity",
        f"{share:.0%} of {capacity:.0f} a second; {len(refusals)} refused; others: {others or 'none'}", share >= 0.8 and not others,
    )
    yield "and refusals, 503 with `Retry-After`", "within 50 ms", f"{half:.1f} ms at the median, {p99:.1f} ms at p99", p99 < 50
    yield "and `/healthz` meanwhile", "within 200 ms", f"{max(times):.0f} ms at the most, of {len(times)}", max(times) < 200


def evenly(url, rate, seconds, folder):
    """Answers as h2load logs them, so many offered a second. The connections of one h2load all ask at the same moment:
    a burst that no limit on what is in flight could serve. So there are several, each a little later than the last."""
    several, each = 10, 20
    logs = [folder / f"h2load-{number}.tsv" for number in range(several)]
    running = []
    for log in logs:
        command = ["h2load", "-t1", "--h1", "-m1", f"-c{each}", f"-D{seconds}", f"--rps={rate / several / each:.2f}", f"--log-file={log}", url]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(each / rate)
    for process in running:
        if process.wait():
            raise SystemExit(f"h2load: status {process.returncode}")
    return [list(map(int, line.split("\t"))) for log in logs for line in log.read_text().splitlines()]


def reloads(stage):
    result = []
    load = threading.Thread(target=lambda: result.append(wrk(stage.gateway.url("/plain/a"), 61)))
    load.start()
    begun = time.monotonic()
    for number in range(1, 101):
        stage.gateway.reload(number)
        while ask(stage.gateway.url("/version"))[1] != str(number):
            time.sleep(0.01)
        time.sleep(max(0, begun + number * 0.6 - time.monotonic()))
    load.join()
    requests, refused, broken, p99 = result[0]
    done = stage.gateway.metric("airside_config_version") - 1
    yield (
        "100 reloads in 60 s under 64 connections", "no request fails",
        f"{done:.0f} reloads, {refused + broken} of {requests} requests failed, p99 {p99:.1f} ms",
        refused + broken == 0 and done >= 100,
    )


def ledger(stage):
    """An exact number of requests, of which some are refused; the log and the metrics must have them all."""
    counts = {"/full/ledger": 50_000, "/plain/ledger": 50_000, "/nowhere": 20_000}
    for path, count in counts.items():
        token = ["-H", f"Authorization: Bearer {stage.token}"] if path.startswith("/full") else []
        subprocess.run(["h2load", "-t1", "--h1", "-c32", "-m1", f"-n{count}", *token, stage.gateway.url(path)], check=True, capture_output=True)
    metrics = {
        "/full/ledger": 'airside_requests_total{route="/full/*",status="200"}',
        "/plain/ledger": 'airside_requests_total{route="/plain/*",status="200"}',
        "/nowhere": 'airside_requests_total{route="",status="404"}',
    }
    time.sleep(1)
    page = dict(line.rsplit(" ", 1) for line in stage.gateway.admin("/metrics").splitlines() if not line.startswith("#"))
    counted = {path: int(page.get(name, 0)) for path, name in metrics.items()}
    stage.gateway.process.stop()
    logged, ids = Counter(), set()
    with open(Path(stage.folder) / "access.log") as lines:
        for line in map(json.loads, lines):
            if line["path"] in counts:
                logged[line["path"]] += 1
                ids.add(line["request_id"])
    total = sum(counts.values())
    is_exact = dict(logged) == counts == counted and len(ids) == total
    yield (
        f"each of {total:,} requests in log and metrics", "exactly once",
        f"{sum(logged.values()):,} lines, {len(ids):,} ids, {sum(counted.values()):,} counted", is_exact,
    )
