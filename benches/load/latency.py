#!/usr/bin/env python3
"""Latency against offered load: requests come at an even pace, whether or not the earlier ones are answered, and each
counts from when it was due, so that waiting shows. All sides are asked at the same rates, in turns, each until it no
longer keeps up. The requests are benches/programs/pace.rs's, which also says how late it was itself.

usage: latency.py PROGRAM [--tools FOLDER] [--pace PROGRAM] [--rounds 3] [--seconds 3] [--peers NAME…] [--out FILE]
"""

import json
import statistics
import tempfile
from functools import partial
from pathlib import Path

import bench
import load
import machine
import peers
import plot
from turns import turns

# Requests a second.
RATES = [1_000, 2_500, 5_000, 7_500, 10_000, 12_500, 15_000, 20_000, 25_000, 30_000, 35_000, 40_000, 45_000, 50_000]
# Enough that one is free while the side keeps up.
CONNECTIONS = 200
# Below this share of what is offered a side no longer keeps up, and its queue has no end.
LOST = 0.97
# A request that leaves later than this by our own doing says nothing of the side.
LATE_US = 1_000


def main():
    options = bench.arguments(rounds=3, seconds=3)
    options.peers = [name for name in options.peers if name in ("nginx", "haproxy")]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        origin, port = peers.upstream(place)
        try:
            sides = bench.sides(options, place, port, "HS256")
            try:
                for rate in RATES:
                    # Behind twice in a row: once may be the machine's doing.
                    lost = {name for name, points in results.items() if not any(at["kept_up"] for at in points[-2:])}
                    measure([side for side in sides if side.name not in lost or len(results[side.name]) < 2],
                            rate, options, results)
            finally:
                for side in sides:
                    side.stop()
        finally:
            origin.stop()
    run = {"machine": machine.facts(), "connections": CONNECTIONS, "rounds": options.rounds,
           "seconds": options.seconds, "results": results}
    if options.out:
        Path(options.out).write_text(json.dumps(run, indent=1) + "\n")
        series = {f"{side}, {share}": [(at["rate"], at[f"{share}_us"] / 1e3) for at in points if at["kept_up"]]
                  for side, points in results.items() for share in ["p50", "p99"]}
        series = {name: points for name, points in series.items() if points}
        plot.lines(Path(options.out).with_suffix(".svg"), "Latency of the whole job by offered load",
                   "requests a second", "milliseconds", series, logarithmic="up")


def measure(sides, rate, options, results):
    """Offers as much to each."""
    runs = turns(options, {side.name: partial(ask, options.pace, side, rate) for side in sides})
    for side in sides:
        at = {key: statistics.median(run[key] for run in runs[side.name]) for key in runs[side.name][0]}
        at["kept_up"] = at["served"] >= LOST * rate
        late = at["late_p99_us"] > LATE_US
        print(f"{rate:6}/s {side.name:8} served {at['served']:6.0f}/s  p50 {at['p50_us'] / 1e3:8.2f} ms  "
              f"p99 {at['p99_us'] / 1e3:8.2f} ms  our own lateness p99 {at['late_p99_us'] / 1e3:.2f} ms"
              f"{'' if at['kept_up'] else '  BEHIND'}{'  THE PACE WAS NOT EVEN' if late else ''}", flush=True)
        results.setdefault(side.name, []).append(at)


def ask(pace, side, rate, seconds):
    command = ["taskset", "-c", machine.LOAD_CORE, pace, f"127.0.0.1:{side.ports['gateway']}", "/full/x", rate, seconds,
               CONNECTIONS, f"Authorization: Bearer {side.token}"]
    answered = json.loads(load.run(list(map(str, command))))
    if answered.pop("refused"):
        raise SystemExit(f"{side.name} at {rate}/s: not the answers that were expected")
    return answered


if __name__ == "__main__":
    main()
