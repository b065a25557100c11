#!/usr/bin/env python3
"""A mixed load for a long time, while everything changes: is memory flat, are files flat, is every answer explained?

HTTP/1 and HTTP/2 with tokens through a role and a limit, invalid tokens, limits that are hit, bodies, WebSockets,
people who sign in and out, one client in a hundred that goes away; a reload every ten seconds, a server killed
every fifteen and back five later, the access log rotated every minute.

usage: soak.py PROGRAM [--minutes 30] [--rate 400] [--out FOLDER]
Exit 1 where memory grows by 1 MiB a minute or more after the warm-up, files grow, or an answer has no explanation.
"""

import argparse
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path

import chart
import clients
from clients import Paced, Tally
from scene import HERE, Gateway, ask, certificate, upstream

RELOAD, KILL, REVIVE, ROTATE, SIGN_IN = 10, 15, 5, 60, 120
MOST_MIB_A_MINUTE, MOST_FILES = 1.0, 16


def main():
    options = arguments()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(options.program, Path(folder))
        try:
            samples = run(scene, options)
        finally:
            scene.stop()
        verdict(scene, samples, options, out)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: Path(text).resolve())
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=400, help="requests a second with a token; the others come on top")
    parser.add_argument("--out", default="target/soak")
    return parser.parse_args()


class Scene:
    """A gateway, a server that stays, and three that come and go."""

    def __init__(self, program, folder):
        self.folder = folder
        certificate(folder)
        self.steady = upstream(folder, "steady")
        self.servers = [upstream(folder, name) for name in ["one", "two", "three"]]
        ports = {name: server.port for name, server in zip(["one", "two", "three"], self.servers)}
        self.gateway = Gateway(program, folder, HERE / "soak.yaml", steady=self.steady.port, **ports)
        self.token = self.gateway.sign_in()
        self.version = self.logged = self.counted = 0

    def reload(self):
        self.version += 1
        self.gateway.reload(self.version)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if ask(self.gateway.url("/version"))[1] == str(self.version):
                return True
            time.sleep(0.05)
        return False

    def rotate(self):
        """Takes the access log away and counts its lines; the gateway begins another."""
        for rotated in self.folder.glob("access.log.*"):
            self.count(rotated)
        log = self.folder / "access.log"
        if log.exists():
            log.rename(self.folder / f"access.log.{time.monotonic_ns()}")

    def count(self, log):
        with open(log) as lines:
            self.logged += sum(1 for _ in lines)
        log.unlink()

    def stop(self):
        for process in [self.gateway.process, self.steady, *self.servers]:
            process.stop()


def run(scene, options):
    tally = scene.tally = Tally()
    rate = options.rate
    crowd = [
        Paced(scene, tally, "http1", "/full/a", rate // 2, is_churned=True),
        Paced(scene, tally, "http2", "/full/a", rate // 2, http2=True, is_churned=True),
        *[kind(scene, tally, pace) for kind, pace in [
            (clients.Strangers, 5), (clients.Greedy, 3), (clients.Uploads, 5), (clients.WebSockets, 1),
            (clients.WebSockets, 1), (clients.Aborters, rate / 100 + 1), (clients.SignIns, 1),
        ]],
    ]
    for client in crowd:
        client.start()
    begun, samples, last = time.monotonic(), [], 0
    # What was done last, in seconds from the begin.
    done = dict.fromkeys(["reload", "kill", "rotate", "sign in"], 0.0)
    dead, turn = None, 0
    while (now := time.monotonic() - begun) < options.minutes * 60:
        if now - done["reload"] >= RELOAD:
            done["reload"] = now
            if not scene.reload():
                tally.error("reload", f"version {scene.version} is not in place after 5 s")
        if not dead and now - done["kill"] >= KILL:
            done["kill"], dead, turn = now, scene.servers[turn % 3], turn + 1
            tally.kills.append(time.monotonic())
            dead.kill()
        if dead and now - done["kill"] >= REVIVE:
            dead.start()
            dead = None
        if now - done["rotate"] >= ROTATE:
            done["rotate"] = now
            scene.rotate()
        if now - done["sign in"] >= SIGN_IN:
            done["sign in"] = now
            scene.token = scene.gateway.sign_in()
        process = scene.gateway.process
        if process.child.poll() is not None:
            raise SystemExit(f"the gateway has ended:\n{scene.gateway.log.read_text()[-4000:]}")
        samples.append((now / 60, process.rss(), process.files(), tally.failures(), tally.explained, sum(tally.answers.values())))
        if len(samples) % 30 == 0:
            rate = (samples[-1][5] - last) / 30
            last = samples[-1][5]
            print(f"{now / 60:5.1f} min  {samples[-1][1]:6.1f} MiB  {samples[-1][2]:4} files  {rate:5.0f} req/s  "
                  f"{samples[-1][3]} errors, {samples[-1][4]} explained", flush=True)
        time.sleep(max(0, begun + len(samples) - time.monotonic()))
    for client in crowd:
        client.over.set()
    for client in crowd:
        client.join(60)
    if dead:
        dead.start()
    # The last ones that went away are over by then.
    time.sleep(2)
    scene.counted = scene.gateway.metric("airside_requests_total")
    return samples


def verdict(scene, samples, options, out):
    """Says how it went, writes it down, and ends with 1 where it went badly."""
    tally = scene.tally
    warm = [sample for sample in samples if sample[0] > min(5, options.minutes / 3)]
    minutes, memory, files = ([sample[i] for sample in warm] for i in range(3))
    slope = statistics.linear_regression(minutes, memory).slope
    third = len(files) // 3
    grown = statistics.median(files[-third:]) - statistics.median(files[:third])
    for log in sorted(scene.folder.glob("access.log*")):
        scene.count(log)
    with open(out / "soak.csv", "w") as file:
        csv.writer(file).writerows([("minute", "rss_mib", "files", "errors", "explained", "answers"), *samples])
    columns = list(zip(*samples))
    chart.write(out / "soak.svg", "Airside under a mixed load", columns[0], [
        ("memory", "MiB", columns[1]), ("open files", "", columns[2]),
        ("answers without an explanation", "", columns[3]), ("errors while a server was killed", "", columns[4]),
    ])
    problems = []
    if slope >= MOST_MIB_A_MINUTE:
        problems.append(f"memory grows by {slope:.2f} MiB a minute")
    if grown > MOST_FILES:
        problems.append(f"{grown:.0f} files more at the end")
    if tally.errors:
        problems.append(f"{len(tally.errors)} answers without an explanation, such as {tally.errors[:5]}")
    # A server that dies within its answer can't be made good; there must be few.
    if tally.explained > max(5, sum(tally.answers.values()) / 1000):
        problems.append(f"{tally.explained} errors while servers were killed")
    if scene.logged != scene.counted:
        problems.append(f"{scene.logged} lines of log, and {scene.counted:.0f} requests were counted")
    result = {
        "minutes": options.minutes, "reloads": scene.version, "kills": len(tally.kills) - 1,
        "answers": dict(sorted(tally.answers.items())), "lines_of_log": scene.logged, "requests_counted": scene.counted,
        "mib_a_minute": round(slope, 3), "rss_mib": [round(memory[0], 1), round(memory[-1], 1)],
        "files_grown_by": grown, "explained": tally.explained, "problems": problems,
    }
    (out / "soak.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
