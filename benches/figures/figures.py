#!/usr/bin/env python3
"""The figures that Airside is held to under load, each measured and held against its bound, as a table.

usage: figures.py PROGRAM [--only WORD…] [--bare PROGRAM] [--out FILE]
Exit 1 where one is not reached. `--bare` is a proxy of Pingora's alone (benches/programs).
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "soak"), str(HERE.parent / "load")]

import crowds
import loads
import slowly
from scene import Gateway, upstream

# The name, what measures it, and whether requests are logged: the log of some minutes of wrk is large.
FIGURES = [
    ("throughput", loads.throughput, False),
    ("overload", loads.overload, False),
    ("reloads", loads.reloads, False),
    ("ledger", loads.ledger, True),
    ("idle", crowds.idle, False),
    ("slow", crowds.slow, False),
    ("slowhttptest", slowly.slowly, False),
    ("restart", crowds.restart, False),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: Path(text).resolve())
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--bare", type=lambda text: Path(text).resolve())
    parser.add_argument("--out")
    options = parser.parse_args()
    rows, missed = [], []
    for name, measure, is_logged in FIGURES:
        if options.only and name not in options.only:
            continue
        with scene(options, is_logged) as stage:
            for figure, bound, measured, is_reached in measure(stage):
                rows.append(f"| {figure} | {bound} | {measured} | `make figures FIGURES={name}` |")
                print(f"{'fine  ' if is_reached else 'MISSED'} {figure}: {bound}: {measured}", flush=True)
                if not is_reached:
                    missed.append(figure)
    when = f"Measured {time.strftime('%Y-%m-%d')} on {os.cpu_count()} cores that client, gateway and upstream share."
    page = "\n".join([when, "", "| figure | bound | measured | command |", "|---|---|---|---|", *rows]) + "\n"
    if options.out:
        Path(options.out).write_text(page)
    print("\n" + page)
    if missed:
        raise SystemExit(f"not reached: {', '.join(missed)}")


class Stage:
    """A gateway, an upstream that is quick, and one that can be slow or large."""

    def __init__(self, options, folder, is_logged):
        self.options, self.folder = options, folder
        (folder / "quick").mkdir()
        self.quick = Gateway(options.program, folder / "quick", HERE / "quick.yaml")
        self.rich = upstream(folder, "rich")
        ports = dict(quick=self.quick.values["gateway"], rich=self.rich.port)
        log = "access.log" if is_logged else "off"
        self.gateway = Gateway(options.program, folder, HERE / "figures.yaml", log=log, **ports)
        self.token = self.gateway.sign_in()

    def stop(self):
        for process in [self.gateway.process, self.rich, self.quick.process]:
            process.stop()


@contextmanager
def scene(options, is_logged):
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(options, Path(folder), is_logged)
        try:
            yield stage
        finally:
            stage.stop()


if __name__ == "__main__":
    main()
