"""slowhttptest, in its four modes, and normal requests beside it."""

import subprocess
import threading

from crowds import timed

SECONDS = 20
# What each sends, at most so many connections, and the path.
MODES = {
    "heads": (["-H", "-i", "1", "-x", "24"], 2_000, "/rich/a"),
    "bodies": (["-B", "-i", "1", "-s", "8192", "-x", "10"], 2_000, "/rich/a"),
    "ranges": (["-R", "-a", "1", "-b", "2000", "-t", "GET"], 1_000, "/rich/a"),
    "reading": (["-X", "-n", "5", "-z", "32", "-w", "512", "-y", "1024", "-k", "3"], 1_000, "/large/a"),
}


def slowly(stage):
    address = stage.gateway.address
    for name, (mode, connections, path) in MODES.items():
        over, times = threading.Event(), []

        def normal():
            while not over.wait(0.01):
                times.append(timed(address, "/rich/a"))

        asking = threading.Thread(target=normal)
        asking.start()
        try:
            said = run(mode, connections, f"http://{address[0]}:{address[1]}{path}")
        finally:
            over.set()
            asking.join()
        times.sort()
        p99 = times[len(times) * 99 // 100]
        # Its own probe, each five seconds; without one it did nothing.
        answers = said.count("service available:   YES"), said.count("service available:   NO")
        is_well = answers[0] > 0 and answers[1] == 0 and p99 < 100
        yield (
            f"slowhttptest, {connections:,} connections that are slow with {name}",
            "always available, p99 100 ms",
            f"{answers[0]} of {sum(answers)} of its probes answered, p99 {p99:.1f} ms of {len(times)}",
            is_well,
        )


def run(mode, connections, url):
    command = ["slowhttptest", *mode, "-c", str(connections), "-r", "400", "-l", str(SECONDS), "-p", "2", "-u", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS * 3, check=False)
    return "".join(part for part in plain(done.stdout + done.stderr))


def plain(text):
    """Without what colours a terminal."""
    parts = text.split("\x1b[")
    yield parts[0]
    for part in parts[1:]:
        yield part.partition("m")[2]
