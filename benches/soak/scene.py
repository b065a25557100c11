"""What the soak and the figures stand on: a gateway, its upstreams, and what can be seen of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from ports import free_ports

HERE = Path(__file__).parent
PATIENCE = 60


class Process:
    """A program that can be killed and started again."""

    def __init__(self, command, port, log):
        self.command, self.port, self.log = list(map(str, command)), port, log
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.child = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.child.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit(f"{self.command} did not start:\n{self.log.read_text()[-4000:]}")

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def rss(self):
        """MiB of memory."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def files(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))


def upstream(folder, name):
    [port] = free_ports(1)
    return Process([sys.executable, HERE / "upstream.py", port], port, folder / f"{name}.log")


class Gateway:
    """Airside with a configuration made of a template, `{name}` for each value."""

    def __init__(self, program, folder, template, **values):
        self.folder = folder
        self.file = folder / "airside.yaml"
        self.template = Path(template).read_text()
        names = ["gateway", "tls", "admin", "identity"]
        self.values = dict(zip(names, free_ports(len(names)))) | values | {"folder": folder, "version": 0}
        self.write(0)
        self.log = folder / "airside.log"
        self.process = Process([program, "run", "-c", self.file], self.values["gateway"], self.log)

    def write(self, version):
        """Writes the file anew, in one step."""
        self.values["version"] = version
        text = self.template
        for name, value in self.values.items():
            text = text.replace("{" + name + "}", str(value))
        draft = self.folder / "draft"
        draft.write_text(text)
        draft.rename(self.file)

    def reload(self, version):
        self.write(version)
        self.process.signal(signal.SIGHUP)

    @property
    def address(self):
        return "127.0.0.1", self.values["gateway"]

    def url(self, path, tls=False):
        return f"https://127.0.0.1:{self.values['tls']}{path}" if tls else f"http://127.0.0.1:{self.values['gateway']}{path}"

    def admin(self, path):
        return ask(f"http://127.0.0.1:{self.values['admin']}{path}")[1]

    def metric(self, name):
        """The sum of what a family's samples have."""
        lines = self.admin("/metrics").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " ")))

    def sign_in(self, email="ann@example.com", password="a seat by the window"):
        """A token, of an account that is made where there is none."""
        account = json.dumps({"email": email, "password": password}).encode()
        for path in ["signup", "signin"]:
            status, body = ask(self.url(f"/auth/{path}"), account, {"Content-Type": "application/json"})
        if status != 200:
            raise SystemExit(f"nobody can sign in: {status} {body}")
        return json.loads(body)["access_token"]


def ask(url, data=None, headers={}, method=None):
    """Status and body, of refusals too."""
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def certificate(folder):
    """For localhost, of its own signing."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "site.key", "-out", folder / "site.pem"],
        check=True, capture_output=True,
    )
    (folder / "site.key").chmod(0o600)
