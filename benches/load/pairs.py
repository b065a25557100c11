#!/usr/bin/env python3
"""What one change costs, all else alike: the same job with few and with many, with and without, in turns. Each is a
ratio to the first of its kind.

usage: pairs.py PROGRAM [--tools FOLDER] [--rounds 5] [--seconds 2] [--only WORD…] [--out FILE]
"""

import json
import tempfile
from pathlib import Path

import bench
import machine
import peers
import plot
import report
import scenes
from turns import turns


def main():
    options = bench.arguments(rounds=5, seconds=2)
    bench.missing(options)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        origin, port = peers.upstream(place)
        try:
            for name, scene in scenes.SCENES.items():
                if not options.only or any(word in name for word in options.only):
                    stage = Stage(options, place / name, port)
                    try:
                        for title, runs in scene(stage):
                            results[title] = turns(options, runs)
                            print(f"{title}:\n" + table({title: results[title]}), flush=True)
                    finally:
                        stage.stop()
        finally:
            origin.stop()
            # What there is, where a scene has failed.
            save(options, results)


def save(options, results):
    run = {"machine": machine.facts(), "rounds": options.rounds, "seconds": options.seconds, "results": results}
    print("\n" + table(results))
    if options.out:
        out = Path(options.out)
        out.write_text(json.dumps(run, indent=1) + "\n")
        routes = scenes.lines_of_routes(results)
        if routes:
            title = "CPU time of a request among many routes"
            plot.lines(out.with_name(out.stem + "-routes.svg"), title, "routes", "µs", routes, logarithmic="across")


class Stage:
    """What a scene has started, and stops."""

    def __init__(self, options, place, port):
        self.options, self.place, self.running = options, place, []
        place.mkdir()
        self.values = {**peers.certificate(place), "upstream": port, "secret": bench.SECRET, "algorithm": "HS256",
                       "modules": "/usr/lib/nginx/modules", "issuer": "", "audience": "", "verifier": bench.SECRET}

    def airside(self, name, algorithm="HS256", **more):
        side = peers.airside(self.options.program, self.place, self.values, algorithm, bench.SECRET, name, **more)
        self.running.append(side)
        side.token = peers.sign_in(side)
        return side

    def add(self, side):
        self.running.append(side)
        return side

    def stop(self):
        for each in self.running:
            each.stop()


def table(results):
    lines = [
        "| what | with | req/s | p50 µs | p99 µs | CPU µs/request | MiB | CPU, times the first | rate, times the first |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for title, sides in results.items():
        first = next(iter(sides))
        for side, runs in sides.items():
            at = {key: report.median(runs, key) for key in runs[0]}
            ratios = [report.paired(runs, sides[first], key) if side != first else "" for key in ("cpu_us", "rate")]
            lines.append(f"| {title} | {side} | {at['rate']:.0f} | {at['p50_us']:.0f} | {at['p99_us']:.0f} "
                         f"| {at['cpu_us']:.1f} | {at['rss_kib'] / 1024:.0f} | {ratios[0]} | {ratios[1]} |")
            more = [f"{key.replace('_', ' ')} {value:.2f}" for key, value in at.items() if key not in report.KEYS]
            lines += [f"| | {', '.join(more)} | | | | | | | |"] if more else []
    return "\n".join(lines)


if __name__ == "__main__":
    main()
