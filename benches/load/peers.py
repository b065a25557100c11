"""The sides of the comparison: how each is started, and what it can do. Their configurations are under peers/."""

import json
import subprocess
import urllib.request
from pathlib import Path

import machine
from machine import LOAD_CORE, PROXY_CORE, Process
from ports import free_ports

HERE = Path(__file__).parent


class Side:
    """One proxy, running, with the ports that it answers on."""

    def __init__(self, name, place, values, command, environment=None, *, kind=None, change=None, files=None, core=PROXY_CORE):
        """`kind` names the templates, where the side has another name; `change` is made to each, `files` stand beside."""
        self.name, self.token = name, None
        folder = place / name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        ports = dict(zip(["gateway", "tls", "admin", "identity"], free_ports(4)))
        self.ports = ports
        values = {**values, **ports, "folder": folder}
        templates = HERE / "peers" / (kind or name)
        texts = {each.name: each.read_text() for each in templates.iterdir()} if templates.is_dir() else {}
        for file, text in texts.items():
            text = change(text) if change else text
            for key, value in values.items():
                text = text.replace("{" + key + "}", str(value))
            (folder / file).write_text(text)
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        command = [str(word).format(folder=folder, **ports) for word in command]
        self.process = Process(command, core, folder, environment)
        self.process.wait_for(ports["gateway"])

    def url(self, path, tls=False):
        return f"https://localhost:{self.ports['tls']}{path}" if tls else f"http://127.0.0.1:{self.ports['gateway']}{path}"

    def stop(self):
        self.process.stop()


def upstream(place):
    """The one upstream of all sides, and its port."""
    folder = place / "upstream"
    (folder / "body").mkdir(parents=True)
    for name, size in [("10k", 10 << 10), ("1m", 1 << 20)]:
        (folder / "body" / name).write_bytes(b"x" * size)
    [port] = free_ports(1)
    text = (HERE / "peers/upstream/nginx.conf").read_text()
    (folder / "nginx.conf").write_text(text.replace("{upstream}", str(port)).replace("{folder}", str(folder)))
    process = Process(["nginx", "-p", folder, "-c", folder / "nginx.conf"], LOAD_CORE, folder)
    process.wait_for(port)
    return process, port


def certificate(place):
    """A certificate for localhost of its own signing: the paths of it, its key, and both in one file."""
    cert, key, pem = place / "site.pem", place / "site.key", place / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )
    pem.write_text(cert.read_text() + key.read_text())
    return {"cert": cert, "key": key, "pem": pem}


def airside(program, place, values, algorithm, secret, name="airside", **more):
    """Airside, whose identity service makes the tokens of all sides."""
    word = f"HS256, secret: {secret}" if algorithm == "HS256" else algorithm
    values = {**values, "algorithm": word}
    side = Side(name, place, values, [program, "run", "-c", "airside.yaml"], kind="airside", **more)
    side.process.wait_for(side.ports["identity"])
    return side


def sign_in(side):
    """A customer's token."""
    account = json.dumps({"email": "bench@example.com", "password": "a password of nobody"}).encode()
    for path in ["signup", "signin"]:
        request = urllib.request.Request(side.url(f"/auth/{path}"), account, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = json.load(answer)
    return body["access_token"]


def public_key(side, algorithm, place):
    """The issuer's key as PEM, for those who can't read a JWKS."""
    import jwt

    with urllib.request.urlopen(side.url("/.well-known/jwks.json"), timeout=10) as answer:
        keys = json.load(answer)["keys"]
    key = jwt.PyJWK(next(key for key in keys if key["alg"] == algorithm)).key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    path = place / f"{algorithm}.pem"
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def others(place, values, algorithm, tools, wanted):
    """The peers that can do the full job with this algorithm."""
    sides = []
    if "nginx" in wanted and algorithm == "HS256":
        sides.append(nginx(place, values))
    if "haproxy" in wanted and algorithm != "EdDSA":
        sides.append(haproxy(place, values))
    if "express" in wanted and algorithm != "EdDSA":
        environment = {"NODE_PATH": str(tools / "express/node_modules"), "NODE_ENV": "production"}
        sides.append(Side("express", place, values, ["node", "server.js"], environment))
    if "caddy" in wanted and algorithm == "HS256":
        command = [tools / "bin/caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        sides.append(Side("caddy", place, values, command, {"GOMAXPROCS": "1"}))
    if "pingap" in wanted and algorithm == "HS256" and (tools / "pingap/bin/pingap").exists():
        sides.append(Side("pingap", place, values, [tools / "pingap/bin/pingap", "-c", "{folder}/pingap.toml"]))
    return sides


def nginx(place, values, name="nginx", **more):
    return Side(name, place, values, ["nginx", "-p", "{folder}", "-c", "{folder}/nginx.conf"], kind="nginx", **more)


def haproxy(place, values, name="haproxy", **more):
    return Side(name, place, values, ["haproxy", "-db", "-f", "haproxy.cfg"], kind="haproxy", **more)


def bare_of(folder):
    """Pingora's proxy and nothing more, built as the program in this folder is: with a profile, where there is one."""
    return next((path for path in [folder / "bare-profiled", folder / "bare"] if path.exists()), None)


def bare(program, place, values, name="bare"):
    return Side(name, place, values, [program, "{gateway}", values["upstream"]], kind="bare")
