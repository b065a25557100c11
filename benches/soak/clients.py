"""The clients of the soak. Each knows what it may be answered; everything else is an error."""

import base64
import os
import random
import re
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path


class Tally:
    """What was answered, by kind of client, and what nobody has an explanation for."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers, self.errors, self.explained = Counter(), [], 0
        # When a server was killed, monotonic.
        self.kills = [0.0]

    def note(self, kind, outcome, count=1):
        with self.lock:
            self.answers[f"{kind} {outcome}"] += count

    def error(self, kind, what, at=None, may_be_killed=False):
        """One that goes with a server that was killed under it is explained."""
        at = at or time.monotonic()
        with self.lock:
            self.answers[f"{kind} error"] += 1
            if may_be_killed and any(0 <= at - kill < 5 for kill in self.kills):
                self.explained += 1
            else:
                self.errors.append(f"{kind}: {what}")

    def failures(self):
        with self.lock:
            return len(self.errors)


class Client(threading.Thread):
    """Does one thing again and again, at a pace."""

    def __init__(self, scene, tally, pace):
        super().__init__(daemon=True)
        self.scene, self.tally, self.pace = scene, tally, pace
        self.over = threading.Event()

    def run(self):
        due = time.monotonic()
        while not self.over.is_set():
            due = max(due + 1 / self.pace, time.monotonic() - 1)
            try:
                self.once()
            except OSError as error:
                self.tally.error(self.kind, error, may_be_killed=self.is_churned)
            self.over.wait(max(0, due - time.monotonic()))

    kind, is_churned = "", False

    def connect(self):
        return socket.create_connection(self.scene.gateway.address, timeout=30)

    def expect(self, statuses, answer):
        status, _, _ = answer
        if status in statuses:
            self.tally.note(self.kind, status)
        else:
            self.tally.error(self.kind, f"{answer}", may_be_killed=self.is_churned)


def request(method, path, headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: soak.test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(stream):
    """Status, head and body of an answer with a length."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(1 << 16)
        if not piece:
            raise ConnectionError("closed before the answer")
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        piece = stream.recv(1 << 16)
        if not piece:
            raise ConnectionError("closed within the answer")
        body += piece
    return status, head, body


class Strangers(Client):
    """Without a token, with nonsense, with one that nobody signed: 401."""

    kind = "invalid token"

    def once(self):
        token = self.scene.token
        forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
        with self.connect() as stream:
            for value in ["", "Authorization: Bearer nonsense", f"Authorization: Bearer {forged}"]:
                stream.sendall(request("GET", "/full/a", [value] if value else []))
                self.expect([401], answer(stream))


class Greedy(Client):
    """More calls than its limit has: 200 or 429."""

    kind = "limit"

    def once(self):
        with self.connect() as stream:
            for _ in range(10):
                stream.sendall(request("GET", "/tight/a"))
                self.expect([200, 429], answer(stream))


class Uploads(Client):
    """Bodies up to a megabyte, with a length or in chunks, which arrive whole."""

    kind = "body"

    def once(self):
        size = random.choice([1, 1_000, 100_000, 1_000_000])
        with self.connect() as stream:
            if random.random() < 0.5:
                stream.sendall(request("POST", "/steady/a", body=b"x" * size))
            else:
                chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
                stream.sendall(request("POST", "/steady/a", ["Transfer-Encoding: chunked"]) + chunk)
            status, _, text = given = answer(stream)
            if status == 200 and text != b"POST %d\n" % size:
                return self.tally.error(self.kind, f"{size} bytes were sent, and {text} came")
            self.expect([200], given)


class WebSockets(Client):
    """One that says something every now and then, for some time."""

    kind = "websocket"

    def once(self):
        key = base64.b64encode(os.urandom(16)).decode()
        headers = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
        with self.connect() as stream:
            stream.sendall(request("GET", "/steady/ws", headers))
            self.expect([101], answer(stream))
            for number in range(20):
                text = b"message %d" % number
                stream.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
                frame = b""
                while len(frame) < 2 + len(text):
                    piece = stream.recv(1 << 16)
                    if not piece:
                        return self.tally.error(self.kind, "cut")
                    frame += piece
                if frame[2:] != text:
                    return self.tally.error(self.kind, f"{text} came back as {frame}")
                if self.over.wait(1):
                    return
            self.tally.note(self.kind, "whole")


class Aborters(Client):
    """Goes away at any stage, by a close or a reset."""

    kind = "abort"

    def once(self):
        stages = [
            b"",
            b"GE",
            b"GET /steady/a HTTP/1.1\r\nHo",
            b"POST /steady/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\nabc",
            request("GET", "/churned/a"),
        ]
        with self.connect() as stream:
            if random.random() < 0.5:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if stage := random.choice(stages):
                stream.sendall(stage)
        self.tally.note(self.kind, "gone")


class SignIns(Client):
    """People sign in, and out again."""

    kind = "sign-in"

    def once(self):
        token = self.scene.gateway.sign_in(f"user{random.randrange(20)}@example.com")
        with self.connect() as stream:
            authorization = f"Authorization: Bearer {token}"
            stream.sendall(request("GET", "/full/a", [authorization]))
            self.expect([200], answer(stream))
            stream.sendall(request("POST", "/auth/signout", [authorization, "Content-Type: application/json"], b'{"scope":"current"}'))
            self.expect([204], answer(stream))
            stream.sendall(request("GET", "/full/a", [authorization]))
            self.expect([401], answer(stream))


class Paced(Client):
    """h2load at an even pace, in runs of some seconds, each with a fresh token. Its log has each answer's status."""

    def __init__(self, scene, tally, kind, path, rate, *, http2=False, seconds=20, is_churned=False):
        super().__init__(scene, tally, 1_000)
        self.kind, self.path, self.rate = kind, path, rate
        self.http2, self.seconds, self.is_churned = http2, seconds, is_churned

    def once(self):
        log = self.scene.folder / f"{self.kind}.tsv".replace(" ", "-")
        log.unlink(missing_ok=True)
        connections = 4 if self.http2 else 16
        command = ["h2load", "-t1", f"-c{connections}", f"-D{self.seconds}", f"--log-file={log}",
                   f"--rps={self.rate / connections}", "-H", f"Authorization: Bearer {self.scene.token}"]
        command += ["-m8"] if self.http2 else ["--h1", "-m1"]
        begun, wall = time.monotonic(), time.time()
        done = subprocess.run([*command, self.scene.gateway.url(self.path, tls=self.http2)], capture_output=True, text=True)
        if done.returncode or not log.exists():
            return self.tally.error(self.kind, done.stdout + done.stderr)
        for row in Path(log).read_text().splitlines():
            start, status, _ = map(int, row.split("\t"))
            if status == 200:
                self.tally.note(self.kind, 200)
            # The last ones are cut by the end of the run.
            elif status != -1 or start / 1e6 - wall < self.seconds - 1:
                self.tally.error(self.kind, status, begun + start / 1e6 - wall, self.is_churned)
