"""Figures of crowds: ten thousand who are idle, thousands who are slow, and what a killed gateway comes back to. Each
brings rows of figure, bound, what was measured, and whether it is reached."""

import asyncio
import json
import socket
import threading
import time

from scene import ask


def get(path, method="GET", headers=""):
    return f"{method} {path} HTTP/1.1\r\nHost: figures.test\r\n{headers}\r\n".encode()


def timed(address, path):
    """Milliseconds of a request on a connection of its own."""
    begun = time.monotonic()
    with socket.create_connection(address, timeout=60) as stream:
        stream.sendall(get(path))
        status = stream.recv(4096).split(b" ")[1]
    if status != b"200":
        raise SystemExit(f"{path}: {status}")
    return (time.monotonic() - begun) * 1000


def idle(stage):
    """Each has had an answer, and waits."""
    many, gateway = 10_000, stage.gateway
    for _ in range(200):
        timed(gateway.address, "/plain/a")
    before = gateway.process.rss()
    held = []
    for _ in range(many):
        stream = socket.create_connection(gateway.address, timeout=60)
        stream.sendall(get("/plain/a"))
        stream.recv(4096)
        held.append(stream)
    grown = gateway.process.rss() - before
    times = sorted(timed(gateway.address, "/plain/a") for _ in range(200))
    for stream in held:
        stream.close()
    begun = time.monotonic()
    while (left := gateway.process.rss() - before) > grown * 0.1 and time.monotonic() - begun < 60:
        time.sleep(0.2)
    took = time.monotonic() - begun
    worked, took_worked = trickle(gateway, before + grown * 0.1)
    each = grown * 1024 / many
    yield f"{many:,} idle connections, each", "48 KiB", f"{each:.1f} KiB", each <= 48
    yield "and a fresh request", "20 ms", f"{times[100]:.1f} ms at the median, {times[-1]:.1f} ms at the most", times[-1] < 20
    back = "within a tenth of the growth in 60 s"
    yield (
        "and memory when they have gone, and nobody else comes", back,
        f"{before:.0f} MiB before, {before + grown:.0f} with them, {before + left:.0f} after {took:.0f} s", left <= grown * 0.1,
    )
    yield (
        "and memory once there is a request each 10 ms, and /metrics read each 10 s", back,
        f"{worked:.0f} MiB after {took_worked:.0f} s", worked - before <= grown * 0.1,
    )


def trickle(gateway, most):
    """Asks until no more than `most` MiB are held, for a minute at the most; MiB then, and seconds. What a worker thread
    has freed it gives back while it works."""
    begun, asked = time.monotonic(), 0
    with socket.create_connection(gateway.address, timeout=60) as stream:
        while (took := time.monotonic() - begun) < 60 and gateway.process.rss() > most:
            stream.sendall(get("/plain/a"))
            stream.recv(4096)
            if asked % 1_000 == 0:
                gateway.admin("/metrics")
            asked += 1
            time.sleep(0.01)
    return gateway.process.rss(), took


HEADERS, BODIES, READERS, DEADLINE = 2_000, 500, 200, 5.0


def slow(stage):
    gateway = stage.gateway
    over, times = threading.Event(), []

    def normal():
        while not over.wait(0.01):
            times.append(timed(gateway.address, "/rich/a"))

    asking = threading.Thread(target=normal)
    asking.start()
    lives = asyncio.run(crowd(gateway))
    over.set()
    asking.join()
    times.sort()
    p99 = times[len(times) * 99 // 100]
    yield (
        f"normal requests beside {HEADERS:,} who drip a head, {BODIES} a body, and {READERS} who do not read",
        "p99 100 ms", f"{p99:.1f} ms, of {len(times)}", p99 < 100,
    )
    for kind, ended in lives.items():
        longest = max(ended)
        yield f"{kind}, each cut", f"{DEADLINE:.0f} s and 2", f"{min(ended):.1f} to {longest:.1f} s", longest <= DEADLINE + 2


async def crowd(gateway):
    """How long each lived, by kind, in seconds."""
    post = get("/rich/a", "POST", "Content-Length: 100000\r\n")
    kinds = {
        "who does not read": (READERS, lambda: stare(gateway.address)),
        "bodies that drip": (BODIES, lambda: drip(gateway.address, post)),
        "heads that drip": (HEADERS, lambda: drip(gateway.address, b"GET /rich/a HTTP/1.1\r\nX: ")),
    }
    lives = {}
    for kind, (count, begin) in kinds.items():
        lives[kind] = []
        for number in range(count):
            lives[kind].append(asyncio.ensure_future(begin()))
            # Not all in the same moment: this client would be the slow one.
            if number % 20 == 19:
                await asyncio.sleep(0.02)
    return {kind: await asyncio.gather(*tasks) for kind, tasks in lives.items()}


async def drip(address, first):
    """A byte a second, until the other side ends it."""
    reader, writer = await asyncio.open_connection(*address)
    begun = time.monotonic()
    try:
        writer.write(first)
        reading = asyncio.ensure_future(reader.read(1 << 16))
        while not reading.done():
            await asyncio.wait([reading], timeout=1)
            if not reading.done():
                writer.write(b"x")
    except OSError:
        pass
    finally:
        lived = time.monotonic() - begun
        writer.close()
    return lived


async def stare(address):
    """Asks for 16 MiB and reads none of them: the end is seen as a reset of what it sends."""
    loop = asyncio.get_running_loop()
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.setblocking(False)
    await loop.sock_connect(stream, address)
    begun = time.monotonic()
    await loop.sock_sendall(stream, get("/large/a"))
    try:
        while time.monotonic() - begun < 60:
            await asyncio.sleep(0.2)
            # A byte of a next request: nobody looks at it before this answer is out.
            await loop.sock_sendall(stream, b"G")
            if stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                break
    except OSError:
        pass
    lived = time.monotonic() - begun
    stream.close()
    return lived


def restart(stage):
    gateway, process = stage.gateway, stage.gateway.process
    ended = gateway.sign_in()
    headers = {"Authorization": f"Bearer {ended}"}
    status, _ = ask(gateway.url("/auth/signout"), json.dumps({"scope": "current"}).encode(),
                    headers | {"Content-Type": "application/json"})
    before = ask(gateway.url("/full/a"), headers=headers)[0]
    if (status, before) != (204, 401):
        raise SystemExit(f"signing out: {status}, then {before}")
    took = []
    for _ in range(5):
        process.kill()
        begun = time.monotonic()
        process.start()
        while True:
            try:
                timed(gateway.address, "/plain/a")
                break
            except OSError:
                time.sleep(0.005)
        took.append(time.monotonic() - begun)
        # From its first answer on.
        after = ask(gateway.url("/full/a"), headers=headers)[0]
        kept = ask(gateway.url("/full/a"), headers={"Authorization": f"Bearer {stage.token}"})[0]
        if (after, kept) != (401, 200):
            yield "SIGKILL and a start", "what was ended stays ended", f"{after} and {kept}", False
    yield "SIGKILL and a start, five times", "serving in 2 s", f"{max(took):.2f} s at the most", max(took) < 2
    yield "and what was ended stays ended", "from the first request on", "401, and 200 for who was not", True
