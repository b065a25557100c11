#!/usr/bin/env python3
"""What a request costs in instructions while what is configured grows: routes, and the servers of an upstream.
Fails if it grows with them by more than MOST says.

usage: scale.py PROGRAM [--out FOLDER]     FOLDER gets scale.json and a picture of each
"""

import json
import sys
from pathlib import Path

import count
import plot

# Times the cost of the fewest. A connection to each of many servers waits for its next request, on a timer: those are
# Pingora's tables, which grow.
MOST = {"routes": 1.02, "servers": 1.05}
FULL = [("full", "/full/thing", 200, True)]


def routes(number):
    """As many routes beside those that are measured: half with a literal path, half with a parameter."""
    paths = [f"/services/s{index}{'' if index % 2 else '/{id}'}" for index in range(number)]
    more = [f'  - {{ path: "{path}", upstream: upstream, auth: public }}' for path in paths]
    return {"change": lambda text: text.replace("telemetry:", "\n".join([*more, "telemetry:"]))}


def servers(number):
    """One server at as many addresses: the whole of 127.0.0.0/8 is this machine."""
    hosts = [f"127.0.{index // 250}.{index % 250 + 1}" for index in range(number)]
    servers = ", ".join(f'"{host}:${{env:UPSTREAM}}"' for host in hosts)
    listeners = ", ".join(f'{{ address: "{host}:${{env:GATEWAY}}" }}' for host in hosts)
    return {
        "change": lambda text: text.replace('"127.0.0.1:${env:UPSTREAM}"', servers),
        "behind": lambda text: text.replace('{ address: "127.0.0.1:${env:GATEWAY}" }', listeners),
        # A connection to each is there before it counts: which one is asked is left to chance.
        "warm_up": count.WARM_UP + 8 * number,
    }


GROWING = {"routes": (routes, [10, 100, 1_000, 10_000]), "servers": (servers, [1, 10, 100, 1_000])}


def main():
    program = Path(sys.argv[1]).resolve()
    results = {}
    for what, (grow, sizes) in GROWING.items():
        results[what] = []
        for size in sizes:
            instructions, allocations = count.measure(program, FULL, **grow(size))["full"]
            results[what].append([size, instructions])
            print(f"{size:6} {what:8} {instructions:9.0f} instructions {allocations:6.1f} allocations", flush=True)
    if "--out" in sys.argv:
        folder = Path(sys.argv[sys.argv.index("--out") + 1])
        (folder / "scale.json").write_text(json.dumps(results) + "\n")
        for what, points in results.items():
            picture = folder / f"scale-{what}.svg"
            plot.lines(picture, f"A request's cost by number of {what}", what, "instructions", {"full job": points})
    grown = [what for what, points in results.items() if max(cost for _, cost in points) > points[0][1] * MOST[what]]
    if grown:
        sys.exit(f"A request costs more with more {', '.join(grown)}.")


if __name__ == "__main__":
    main()
