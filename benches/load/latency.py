#!/usr/bin/env python3
"""Latency against offered load: requests come at an even pace, whether or not the earlier ones are answered, so that
waiting shows. Each side is asked at the same rates, in turns.

usage: latency.py PROGRAM [--tools FOLDER] [--seconds 5] [--rounds 3] [--peers NAME…] [--out FILE]
"""

import json
import statistics
import tempfile
from pathlib import Path

import bench
import load
import machine
import peers

import plot

# Requests a second.
RATES = [1_000, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 14_000, 16_000, 18_000, 20_000]
# Many, each at a slow pace of its own: one that waits for its answer holds back no other.
CONNECTIONS = 200
# From here on a side no longer keeps up, and its queue has no end.
LOST = 0.97


def main():
    options = bench.arguments()
    options.peers = [name for name in options.peers if name in ("nginx", "haproxy")]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        origin, port = peers.upstream(place)
        try:
            sides, token = bench.sides(options, place, port, "HS256")
            try:
                for rate in RATES:
                    measure(sides, token, rate, options, results)
            finally:
                for side in sides:
                    side.stop()
        finally:
            origin.stop()
    run = {"machine": machine.facts(), "connections": CONNECTIONS, "seconds": options.seconds, "results": results}
    if options.out:
        Path(options.out).write_text(json.dumps(run, indent=1) + "\n")
        for share in ["p50_ms", "p99_ms"]:
            series = {side: [(at["rate"], at[share]) for at in points] for side, points in results.items()}
            picture = Path(options.out).with_name(Path(options.out).stem + f"-{share[:3]}.svg")
            title = f"Latency ({share[:3]}) of the full job by offered load"
            plot.lines(picture, title, "requests a second", "milliseconds", series)


def measure(sides, token, rate, options, results):
    answers = {side.name: [] for side in sides}
    for turn in range(options.rounds):
        for side in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
            headers = [f"Authorization: Bearer {token}"]
            result = load.h2load(side.url("/full/x"), options.seconds, CONNECTIONS, headers=headers, rate=rate)
            if result.refused or result.broken:
                raise SystemExit(f"{side.name} at {rate}/s: not the answers that were expected: {result}")
            answers[side.name].append(result)
    for name, runs in answers.items():
        served = statistics.median(run.requests / run.seconds for run in runs)
        p50, p99 = (statistics.median(getattr(run, share) for run in runs) / 1e3 for share in ("p50", "p99"))
        kept_up = served >= LOST * rate
        print(f"{rate:6}/s {name:8} served {served:6.0f}/s  p50 {p50:8.2f} ms  p99 {p99:8.2f} ms{'' if kept_up else '  behind'}", flush=True)
        if kept_up:
            results.setdefault(name, []).append({"rate": rate, "served": served, "p50_ms": p50, "p99_ms": p99})


if __name__ == "__main__":
    main()
