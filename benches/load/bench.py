#!/usr/bin/env python3
"""Airside beside its peers: the same jobs in alternating rounds on pinned cores, as one table.

The proxy under load has core 0 for itself; the load and the upstream share core 1. All sides run, one at a time is
asked. What counts is CPU time a request (user and system, of the whole process tree) as a ratio of neighbouring
runs: absolute figures drift on shared machines. A run fails if an answer is not the expected one.

usage: bench.py PROGRAM [--tools FOLDER] [--rounds 9] [--seconds 5] [--only WORD…] [--peers NAME…] [--out FILE]
"""

import argparse
import base64
import json
import statistics
import tempfile
import uuid
from pathlib import Path

import load
import machine
import peers
import report

SECRET = "a-secret-of-a-benchmark-and-of-nothing-else"
DISTINCT = 20_000


class Scenario:
    """One job: what is asked, with what, and what is expected."""

    def __init__(self, name, path, *, sides=None, signed=False, refused=False, tool=load.wrk, tls=False, **options):
        self.name, self.path, self.sides = name, path, sides
        self.signed, self.refused, self.tool, self.tls, self.options = signed, refused, tool, tls, options

    def run(self, side, seconds, token):
        headers = [*self.options.get("headers", [])]
        if self.signed:
            headers.append(f"Authorization: Bearer {token}")
        options = {key: value for key, value in self.options.items() if key != "headers"}
        before = side.process.cpu()
        result = self.tool(side.url(self.path, self.tls), seconds, headers=headers, **options)
        cpu = side.process.cpu() - before
        # The first request of the tight limit passes.
        fine = result.refused >= result.requests - 64 if self.refused else result.refused == 0
        if not fine or result.broken or not result.requests:
            raise SystemExit(f"{side.name}, {self.name}: not the answers that were expected: {result}")
        return {
            "rate": result.requests / result.seconds,
            "cpu_us": cpu * 1e6 / result.requests,
            "p50_us": result.p50,
            "p99_us": result.p99,
            "p999_us": result.p999,
            "rss_kib": side.process.rss(),
        }


def scenarios(distinct):
    """By the algorithm of the tokens: they need a gateway each."""
    full = dict(signed=True)
    return {
        "HS256": [
            Scenario("full HS256", "/full/x", **full),
            Scenario("plain", "/plain/x"),
            Scenario(f"{DISTINCT} tokens", "/full/x", tokens=distinct),
            Scenario("refused 401", "/full/x", refused=True),
            Scenario("refused 429", "/tight/x", refused=True),
            Scenario("body 10 KB", "/body/10k"),
            Scenario("body 1 MB", "/body/1m", connections=16),
            Scenario("one connection", "/full/x", connections=1, **full),
            Scenario("TLS, kept", "/plain/x", tls=True),
            Scenario("TLS, one each", "/plain/x", tls=True, headers=["Connection: close"]),
            Scenario("HTTP/2", "/plain/x", tls=True, tool=load.h2load),
        ],
        "RS256": [Scenario("full RS256", "/full/x", **full)],
        "ES256": [Scenario("full ES256", "/full/x", **full)],
        "EdDSA": [Scenario("full EdDSA", "/full/x", **full)],
    }


# What a peer has no part in: a route that does not check tokens is not the job.
WITHOUT = {"caddy": lambda name: name not in ["plain", "TLS, kept", "TLS, one each", "HTTP/2"],
           "express": lambda name: name.startswith(("TLS", "HTTP/2"))}


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        distinct = place / "tokens"
        results = {}
        origin, port = peers.upstream(place)
        try:
            for algorithm, jobs in scenarios(distinct).items():
                jobs = [job for job in jobs if not options.only or any(word in job.name for word in options.only)]
                if jobs:
                    compare(options, place, port, algorithm, jobs, distinct, results)
        finally:
            origin.stop()
    run = {"machine": machine.facts(), "rounds": options.rounds, "seconds": options.seconds, "results": results}
    print(report.table(results))
    if options.out:
        Path(options.out).write_text(json.dumps(run, indent=1) + "\n")
        report.plots(run, Path(options.out))


def sides(options, place, port, algorithm):
    """All sides that can do the full job with this algorithm, ours first, running, and a token for all of them."""
    inner = place / algorithm
    inner.mkdir()
    values = {**peers.certificate(inner), "upstream": port, "secret": SECRET, "algorithm": algorithm,
              "modules": "/usr/lib/nginx/modules"}
    ours = peers.airside(options.program, inner, values, algorithm, SECRET)
    try:
        token = peers.sign_in(ours)
        claims = part(token, 1)
        audience = claims["aud"] if isinstance(claims["aud"], str) else claims["aud"][0]
        # HAProxy takes a secret or a file of a key, a script the text of either.
        values |= {"issuer": claims["iss"], "audience": audience, "verifier": SECRET, "literal": json.dumps(SECRET)}
        if algorithm != "HS256":
            key = peers.public_key(ours, algorithm, inner)
            values |= {"verifier": key, "literal": json.dumps(key.read_text())}
        return [ours, *peers.others(inner, values, algorithm, options.tools, options.peers)], token
    except BaseException:
        ours.stop()
        raise


def compare(options, place, port, algorithm, jobs, distinct, results):
    """Runs all jobs of one algorithm at all sides that can do them, in turns."""
    running, token = sides(options, place, port, algorithm)
    try:
        if algorithm == "HS256":
            write_tokens(distinct, token)
        for job in jobs:
            mine = [side for side in running if not WITHOUT.get(side.name, lambda _: False)(job.name)]
            for side in mine:
                job.run(side, 1, token)
            runs = results.setdefault(job.name, {})
            for turn in range(options.rounds):
                # Each time in another order, so that none always comes after the same one.
                for side in mine[turn % len(mine) :] + mine[: turn % len(mine)]:
                    measured = job.run(side, options.seconds, token)
                    runs.setdefault(side.name.partition(" ")[0], []).append(measured)
            line = ", ".join(f"{name} {statistics.median(run['cpu_us'] for run in list_):.1f}" for name, list_ in runs.items())
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
        for _ in range(DISTINCT):
            own = {name: str(uuid.uuid4()) for name in ["sub", "id", "jti", "sid"] if name in claims}
            file.write(jwt.encode(claims | own, SECRET, "HS256", headers=header) + "\n")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda text: Path(text).resolve())
    parser.add_argument("--tools", type=lambda text: Path(text).resolve(), default=Path("target/bench-tools").resolve())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--peers", nargs="*", default=["nginx", "haproxy", "caddy", "express"])
    parser.add_argument("--out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
