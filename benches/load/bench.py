#!/usr/bin/env python3
"""Airside beside its peers: the same jobs in alternating rounds on pinned cores, as one table.

The proxy under load has core 0 for itself; the load and the upstream share core 1. All sides run, one at a time is
asked. What counts is CPU time a request (user and system, of the whole process tree) as a ratio of neighbouring
runs: absolute figures drift on shared machines. A run fails if an answer is not the expected one.

usage: bench.py PROGRAM [--tools FOLDER] [--rounds 9] [--seconds 5] [--only WORD…] [--peers NAME…] [--out FILE]
                [--builds NAME=PROGRAM…]

A peer that is not built is left out, and that is said. `--builds` are other builds of Airside, as sides of their own.
"""

import argparse
import base64
import json
import statistics
import tempfile
import uuid
from functools import partial
from pathlib import Path

import jobs
import machine
import peers
import report
from turns import turns

SECRET = "a-secret-of-a-benchmark-and-of-nothing-else"


def main():
    options = arguments()
    missing(options)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        distinct = place / "tokens"
        results = {}
        origin, port = peers.upstream(place)
        try:
            for algorithm, all_ in jobs.scenarios(distinct).items():
                some = [job for job in all_ if not options.only or any(word in job.name for word in options.only)]
                if some:
                    compare(options, place, port, algorithm, some, distinct, results)
        finally:
            origin.stop()
            # What there is, where a run has failed.
            save(options, results)


def save(options, results):
    run = {"machine": machine.facts(), "rounds": options.rounds, "seconds": options.seconds, "results": results}
    if "bare" in options.peers:
        run["bare"] = peers.bare_of(options.program.parent).name
    print(report.table(results))
    if options.out:
        Path(options.out).write_text(json.dumps(run, indent=1) + "\n")
        report.plots(run, Path(options.out))


def missing(options):
    """Leaves out who is not built, and says so."""
    built = {"bare": peers.bare_of(options.program.parent), "pingap": options.tools / "pingap/bin/pingap"}
    for name, program in built.items():
        if name in options.peers and not (program and program.exists()):
            options.peers.remove(name)
            print(f"LEFT OUT: {name} is not built: `make bench-{name}`", flush=True)


def sides(options, place, port, algorithm):
    """All sides that can do the full job with this algorithm, ours first, running, each with a token."""
    inner = place / algorithm
    inner.mkdir()
    running = []
    values = {**peers.certificate(inner), "upstream": port, "secret": SECRET, "algorithm": algorithm,
              "modules": "/usr/lib/nginx/modules"}
    try:
        for name, program in [("airside", options.program), *options.builds]:
            side = peers.airside(program, inner, values, algorithm, SECRET, name)
            running.append(side)
            side.token = peers.sign_in(side)
        ours = running[0]
        claims = part(ours.token, 1)
        audience = claims["aud"] if isinstance(claims["aud"], str) else claims["aud"][0]
        # HAProxy takes a secret or a file of a key, a script the text of either.
        values |= {"issuer": claims["iss"], "audience": audience, "verifier": SECRET, "literal": json.dumps(SECRET)}
        if algorithm != "HS256":
            key = peers.public_key(ours, algorithm, inner)
            values |= {"verifier": key, "literal": json.dumps(key.read_text())}
        others = peers.others(inner, values, algorithm, options.tools, options.peers)
        running += others
        if "bare" in options.peers and algorithm == "HS256":
            running.append(peers.bare(peers.bare_of(options.program.parent), inner, values))
        for side in running:
            side.token = side.token or ours.token
        return running
    except BaseException:
        for side in running:
            side.stop()
        raise


def compare(options, place, port, algorithm, some, distinct, results):
    """Runs all jobs of one algorithm at all sides that can do them, in turns."""
    running = sides(options, place, port, algorithm)
    try:
        if algorithm == "HS256":
            write_tokens(distinct, running[0].token)
        for job in some:
            runs = {side.name: partial(job.run, side) for side in running
                    if not jobs.WITHOUT.get(side.name, lambda _: False)(job.name)}
            plain = jobs.Scenario("plain", "/plain/x")
            runs |= {f"{side.name}, plain": partial(plain.run, side) for side in running
                     if side.name in jobs.BESIDE.get(job.name, [])}
            runs |= {f"{side.name}, unchecked": partial(job.run, side) for side in running
                     if side.name in jobs.UNCHECKED.get(job.name, [])}
            if job.refused:
                # What a refusal is held against.
                forwarded = jobs.Scenario("forwarded", "/full/x", signed=True)
                runs["airside, forwarded"] = partial(forwarded.run, running[0])
            results[job.name] = turns(options, runs)
            line = ", ".join(f"{name} {statistics.median(run['cpu_us'] for run in list_):.1f}"
                             for name, list_ in results[job.name].items())
            print(f"{job.name}: CPU us a request: {line}", flush=True)
    finally:
        for side in running:
            side.stop()


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def write_tokens(path, token):
    """Many tokens like the given one, each of another sign-in of another user."""
    import jwt

    header, claims = part(token, 0), part(token, 1)
    with open(path, "w") as file:
        for _ in range(jobs.DISTINCT):
            own = {name: str(uuid.uuid4()) for name in ["sub", "id", "jti", "sid"] if name in claims}
            file.write(jwt.encode(claims | own, SECRET, "HS256", headers=header) + "\n")


def build(text):
    name, _, program = text.partition("=")
    return name, Path(program).resolve()


def arguments(rounds=9, seconds=5):
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda text: Path(text).resolve())
    parser.add_argument("--tools", type=lambda text: Path(text).resolve(), default=Path("target/bench-tools").resolve())
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=int, default=seconds)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--peers", nargs="*", default=["nginx", "haproxy", "caddy", "express", "bare", "pingap"])
    parser.add_argument("--builds", nargs="*", default=[], type=build)
    parser.add_argument("--pace", type=lambda text: Path(text).resolve(), help="latency.py: built beside PROGRAM")
    parser.add_argument("--out")
    options = parser.parse_args()
    options.pace = options.pace or options.program.with_name("pace")
    return options


if __name__ == "__main__":
    main()
