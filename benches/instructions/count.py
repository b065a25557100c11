#!/usr/bin/env python3
"""Counts what a request costs the gateway in instructions and allocations, and holds it against the budget.

Unlike times, instructions of one build repeat within half a percent on a busy machine. The gateway runs under
valgrind's callgrind with one worker thread; a warm connection sends a fixed number of requests, and what the
whole process did meanwhile is divided by it.

usage: count.py PROGRAM [--lower]     --lower writes a lower budget where less is needed now
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from ports import free_ports

HERE = Path(__file__).parent
BUDGET = HERE.parent / "budget.toml"
WARM_UP, REQUESTS = 300, 1000
# How far two counts of one build are apart at most: what goes on beside requests is counted with them.
NOISE, BESIDE = 0.005, 0.9
# The name, the path, the status that is expected, and whether the token goes with it.
SCENARIOS = [
    ("plain", "/plain", 200, False),
    ("full", "/full/thing", 200, True),
    ("unauthenticated", "/full/thing", 401, False),
    ("forbidden", "/forbidden", 403, True),
]
# Entries of the allocators: mimalloc's for Rust, the system's for libraries in C.
# A long copy is one instruction to the processor (`rep movsb`), and one for each byte to callgrind. With it switched
# off, copies are loops of vector instructions, as short ones are anyway.
COUNTABLE = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1073741824"}
ALLOCATIONS = re.compile(r"(mi_(m|z|c)alloc(_aligned|_small)?|mi_realloc(_aligned)?|malloc|calloc|realloc)$")


def main():
    program, *options = sys.argv[1:]
    measured = measure(Path(program).resolve())
    budget = tomllib.loads(BUDGET.read_text())
    print(f"{'':16} {'instructions':>14} {'budget':>10} {'allocations':>12} {'budget':>8}")
    above = False
    for name, (instructions, allocations) in measured.items():
        most = budget[name]
        print(
            f"{name:16} {instructions:14.0f} {most['instructions']:10} "
            f"{allocations:12.1f} {most['allocations']:8}"
        )
        above |= instructions > most["instructions"] * (1 + NOISE) or allocations > most["allocations"] + BESIDE
    if "--lower" in options:
        lower(budget, measured)
    if above:
        sys.exit(f"A request costs more than {BUDGET.name} allows. What made it dearer, and is it worth that?")


def lower(budget, measured):
    """Writes what is needed now where that is less. A budget is never raised by a program."""
    lines = [line for line in BUDGET.read_text().splitlines() if line.startswith("#")]
    for name, (instructions, allocations) in measured.items():
        most = budget[name]
        lines += [
            "",
            f"[{name}]",
            f"instructions = {min(most['instructions'], round(instructions))}",
            f"allocations = {min(most['allocations'], round(allocations))}",
        ]
    BUDGET.write_text("\n".join(lines) + "\n")


def as_it_is(text):
    return text


def measure(program, scenarios=SCENARIOS, change=as_it_is, behind=as_it_is, warm_up=WARM_UP):
    """Instructions and allocations a request, by scenario. `change` is made to the gateway's configuration, `behind`
    to that of the one behind it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        running = []
        try:
            upstream = start(running, [program], "upstream", folder, {}, behind)
            counted = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-instr=no", "--compress-strings=no",
                       "--compress-pos=no", "--callgrind-out-file=counts", program]
            gateway = start(running, counted, "gateway", folder, {"UPSTREAM": upstream["GATEWAY"], **COUNTABLE}, change)
            token = sign_in(gateway["GATEWAY"])
            results = {}
            for index, (name, path, status, signed) in enumerate(scenarios, 1):
                headers = {"Authorization": f"Bearer {token}"} if signed else {}
                load(gateway["GATEWAY"], path, headers, status, warm_up)
                control(running[-1], "-i", "on")
                load(gateway["GATEWAY"], path, headers, status, REQUESTS)
                control(running[-1], "-i", "off")
                control(running[-1], "-d", name)
                results[name] = read(folder / "gateway" / f"counts.{index}")
            return results
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def start(running, command, name, folder, environment, change=as_it_is):
    """Runs the program with a configuration of this folder, and gives its ports once it answers."""
    place = folder / name
    place.mkdir()
    (place / "airside.yaml").write_text(change((HERE / f"{name}.yaml").read_text()))
    ports = dict(zip(["GATEWAY", "ADMIN", "IDENTITY"], free_ports(3)))
    with open(place / "log", "w") as log:
        process = subprocess.Popen(
            [*command, "run", "-c", "airside.yaml"],
            cwd=place,
            env=os.environ | environment | {key: str(port) for key, port in ports.items()},
            stdout=log,
            stderr=log,
        )
    running.append(process)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{ports['ADMIN']}/readyz", timeout=5).close()
            return {key: str(port) for key, port in ports.items()}
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{name} did not start:\n{(place / 'log').read_text()}")


def sign_in(port):
    """A customer's token."""
    account = json.dumps({"email": "bench@example.com", "password": "a password of nobody"}).encode()
    for path in ["signup", "signin"]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/auth/{path}", account, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            body = json.load(answer)
    return body["access_token"]


def load(port, path, headers, status, count):
    """One connection's requests, one after the other; fails unless each gets the status."""
    lines = [f"GET {path} HTTP/1.1", "Host: bench", "User-Agent: bench/1", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        for _ in range(count):
            connection.sendall(request)
            answer = read_answer(stream)
            if answer != status:
                sys.exit(f"GET {path}: {answer} instead of {status}")


def read_answer(stream):
    status, length = int(stream.readline().split()[1]), None
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    stream.read(length)
    return status


def control(process, *command):
    done = subprocess.run(["callgrind_control", *command, str(process.pid)], capture_output=True, text=True)
    if done.returncode != 0 or "OK" not in done.stdout:
        sys.exit(f"callgrind_control {' '.join(command)}: {done.stdout}{done.stderr}")


def read(path):
    """Of a dump: instructions, and calls of the allocators' entries, a request."""
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    instructions, allocations, callee = 0, 0, ""
    for line in path.read_text().splitlines():
        if line.startswith("totals:"):
            instructions = int(line.split()[1])
        elif line.startswith("cfn="):
            callee = line[4:]
        elif line.startswith("calls=") and ALLOCATIONS.match(callee):
            allocations += int(line[6:].split()[0])
    return instructions / REQUESTS, allocations / REQUESTS


if __name__ == "__main__":
    main()
