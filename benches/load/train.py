#!/usr/bin/env python3
"""Trains a build: runs the jobs of the bench against a program that notes which way its code goes, and lets it write
that down. Only how often matters, not how fast: it may run on a busy machine.

usage: train.py PROGRAM FOLDER [airside|bare]     FOLDER gets the notes (*.profraw)
"""

import os
import sys
import tempfile
from pathlib import Path

import bench
import jobs
import peers

SECONDS = 2


def main():
    program, notes = (Path(text).resolve() for text in sys.argv[1:3])
    os.environ["LLVM_PROFILE_FILE"] = str(notes / "%p-%m.profraw")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        origin, port = peers.upstream(place)
        try:
            for algorithm, all_ in jobs.scenarios("").items():
                inner = place / algorithm
                inner.mkdir()
                values = {**peers.certificate(inner), "upstream": port}
                if sys.argv[3:] == ["bare"]:
                    all_ = [job for job in all_ if not jobs.WITHOUT["bare"](job.name)]
                    train(all_, lambda: peers.bare(program, inner, values))
                else:
                    train(all_, lambda: peers.airside(program, inner, values, algorithm, bench.SECRET), peers.sign_in)
        finally:
            origin.stop()
    if not any(file.stat().st_size for file in notes.glob("*.profraw")):
        sys.exit("nothing was noted: is the program an instrumented one?")


def train(some, start, sign_in=None):
    # One token does for all: many make the same ways, and need a library to be made.
    some = [job for job in some if "tokens" not in job.options]
    if not some:
        return
    side = start()
    try:
        side.token = sign_in(side) if sign_in else None
        for job in some:
            print(f"training: {job.name}", flush=True)
            job.run(side, SECONDS)
    finally:
        # Its notes are written when it ends of itself.
        side.stop()


if __name__ == "__main__":
    main()
