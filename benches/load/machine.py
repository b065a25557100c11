"""What the bench stands on: processes with their CPU time and memory, ports, facts about the machine."""

import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

TICKS = os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE = "0", "1"


class Process:
    """A program on one core, with its children."""

    def __init__(self, command, core, folder, environment=None):
        self.log = folder / "output"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", core, *map(str, command)],
                cwd=folder,
                env=os.environ | (environment or {}),
                stdout=log,
                stderr=log,
            )

    def wait_for(self, port, patience=60):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.process.args} did not start:\n{self.log.read_text()[-4000:]}")

    def family(self):
        """The ids of the process and of all that it has started."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := stat(entry.name)):
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
        found, waiting = [], [self.process.pid]
        while waiting:
            found.append(waiting.pop())
            waiting += parents.get(found[-1], [])
        return found

    def cpu(self):
        """Seconds of CPU so far, in user and system mode, of the whole family."""
        stats = [stat(pid) for pid in self.family()]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICKS

    def rss(self):
        """KiB of memory, of the whole family."""
        total = 0
        for pid in self.family():
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return total

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def stat(pid):
    """The fields of /proc/PID/stat after the name, which may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def facts():
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory": f"{int(memory) // 1024} MiB",
        "kernel": platform.release(),
        "cores_of": {"proxy": PROXY_CORE, "load and upstream": LOAD_CORE},
    }
