"""The scenes of pairs.py: each starts what it compares, and gives titles with what is run in turns, by name."""

import resource
import socket
import statistics
import threading
from functools import partial

import load
import peers
from jobs import Scenario
from machine import LOAD_CORE, PROXY_CORE, Process
from ports import free_ports

FULL = Scenario("full", "/full/x", signed=True)
PLAIN = Scenario("plain", "/plain/x")
ROUTES = [10, 1_000, 10_000]
ADDRESSES = 1_000_000
IDLE = 10_000


def routes(stage):
    """Each asks for the one in the middle. HAProxy looks a map up, nginx has its tree of locations."""
    wanted = [name for name in ["nginx", "haproxy"] if name in stage.options.peers]
    for kind in ["airside", *wanted]:
        runs = {}
        for count in ROUTES:
            paths = [f"/services/s{number}/" for number in range(count)]
            name, job = f"{kind} {count}", Scenario("plain", f"/services/s{count // 2}/x")
            runs[f"{count:,} routes"] = partial(job.run, with_routes(stage, kind, name, paths))
        yield f"routes, {kind}", runs


def with_routes(stage, kind, name, paths):
    if kind == "airside":
        more = "\n".join(f'  - {{ path: "{path}*", upstream: upstream, auth: public }}' for path in paths)
        return stage.airside(name, change=lambda text: text.replace("telemetry:", more + "\ntelemetry:"))
    if kind == "nginx":
        more = "\n".join(f"location {path} {{ proxy_pass http://upstream; }}" for path in paths)
        change = lambda text: text.replace("location /plain/", more + "\nlocation /plain/")
        return stage.add(peers.nginx(stage.place, stage.values, name, change=change))
    map_ = "".join(f"{path} upstream\n" for path in paths)
    line = "    use_backend %[path,map_beg(routes.map,upstream)]\n"
    change = lambda text: text.replace("    default_backend", line + "    default_backend")
    return stage.add(peers.haproxy(stage.place, stage.values, name, change=change, files={"routes.map": map_}))


def lines_of_routes(results):
    """Points by side, for a picture."""
    return {
        title.removeprefix("routes, "): [
            (count, statistics.median(run["cpu_us"] for run in sides[f"{count:,} routes"])) for count in ROUTES
        ]
        for title, sides in results.items() if title.startswith("routes, ")
    }


def redis(stage):
    """Limits that all gateways count together. Redis is beside the load; what counts is the gateway's own time."""
    [port] = free_ports(1)
    folder = stage.place / "redis"
    folder.mkdir()
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    stage.add(Process(command, LOAD_CORE, folder)).wait_for(port)
    in_redis = lambda text: text.replace("limits:\n", f'redis: {{ url: "redis://127.0.0.1:{port}" }}\nlimits:\n').replace(
        "rate: 10000000/1s, by", "rate: 10000000/1s, scope: cluster, by")
    yield "two limits", {"counted in the process": partial(FULL.run, stage.airside("node")),
                         "counted in Redis": partial(FULL.run, stage.airside("cluster", change=in_redis))}


def clients(stage):
    """A limit by address: those that it remembers, and those that it has to forget for others."""
    trusting = lambda text: text.replace("[10.0.0.0/8]", "[127.0.0.0/8]")
    larger = lambda text: trusting(text).replace("by: ip }", "by: ip, max_keys: 2000000 }", 1)
    runs = {}
    for name, count, change in [("10 clients", 10, trusting), (f"{ADDRESSES:,}", ADDRESSES, trusting),
                                (f"{ADDRESSES:,}, all remembered", ADDRESSES, larger)]:
        side = stage.airside(name, change=change)
        seen = [0]

        def run(seconds, side=side, count=count, seen=seen):
            # Each run goes on where the last one ended.
            job = Scenario("full", "/full/x", signed=True, clients=count, first=seen[0] % count)
            measured = job.run(side, seconds)
            seen[0] += int(measured["rate"] * seconds)
            return measured

        # All of them have been there before it counts.
        while seen[0] < count:
            run(5)
        runs[name] = run
    yield "clients", runs


def idle(stage):
    """Connections that have had an answer, and wait."""
    room = lambda text: text.replace("server: {", "server: { limits: { connections: 12000, connections_per_ip: 12000, idle_timeout: 1h },")
    pairs = {"airside": [stage.airside(name, change=room) for name in ["without", "with"]]}
    program = peers.bare_of(stage.options.program.parent)
    if program:
        pairs["bare"] = [stage.add(peers.bare(program, stage.place, stage.values, f"bare {name}")) for name in ["without", "with"]]
    for kind, (without, with_) in pairs.items():
        before = with_.process.rss()
        held = [greet(with_.ports["gateway"]) for _ in range(IDLE)]
        each = (with_.process.rss() - before) / IDLE
        yield f"idle connections, {kind}", {
            "none": partial(PLAIN.run, without),
            f"{IDLE:,}": lambda seconds: PLAIN.run(with_, seconds) | {"KiB_a_connection": each},
        }
        gone = sum(is_closed(stream) for stream in held)
        for stream in held:
            stream.close()
        if gone:
            raise SystemExit(f"{kind}: {gone} of the idle connections were closed meanwhile")


def greet(port):
    stream = socket.create_connection(("127.0.0.1", port), timeout=60)
    stream.sendall(b"GET /plain/x HTTP/1.1\r\nHost: idle\r\n\r\n")
    stream.recv(4096)
    return stream


def is_closed(stream):
    stream.setblocking(False)
    try:
        return stream.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def threads(stage):
    """Two workers over one, on two cores that the load shares: so by a job that is dear to the gateway and cheap to the
    load, tokens whose signature (ES256) is wrong. How much of a core the load took is said: so much is missing from 2."""
    runs = {}
    for name, count, cores in [("one worker", 1, PROXY_CORE), ("two workers", 2, f"{PROXY_CORE},{LOAD_CORE}")]:
        side = stage.airside(name, "ES256", change=lambda text, count=count: text.replace("threads: 1", f"threads: {count}"), core=cores)
        place = side.token.rindex(".") + 20
        side.token = side.token[:place] + ("A" if side.token[place] != "A" else "B") + side.token[place + 1 :]
        runs[name] = partial(beside_load, Scenario("forged", "/full/x", signed=True, refused=True), side)
    yield "refused tokens, ES256", runs


def beside_load(job, side, seconds):
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before = used()
    measured = job.run(side, seconds)
    return measured | {"core_of_the_load": (used() - before) / seconds}


def signin(stage):
    """Reads of those who are signed in, while others sign in as fast as four at a time can."""
    calm = lambda text: text.replace("identity:\n", "identity:\n  throttle: { ip_per_minute: 0 }\n")
    side = stage.airside("flooded", change=calm)
    account = '{"email": "bench@example.com", "password": "a password of nobody"}'

    def flooded(seconds):
        answers = []
        flood = threading.Thread(target=lambda: answers.append(
            load.wrk(side.url("/auth/signin"), seconds + 1, connections=4, body=account)))
        flood.start()
        measured = FULL.run(side, seconds)
        flood.join()
        [signed] = answers
        return measured | {"sign_ins_a_second": (signed.requests - signed.refused) / signed.seconds,
                           "refused_sign_ins_a_second": signed.refused / signed.seconds}

    yield "reads beside a flood of sign-ins", {"alone": partial(FULL.run, side), "four sign in all the time": flooded}


SCENES = {"routes": routes, "redis": redis, "clients": clients, "idle": idle, "threads": threads, "signin": signin}
