"""The jobs of the bench: what is asked, who takes part, and what comes of a run."""

import load

DISTINCT = 20_000


class Scenario:
    """One job: what is asked, with what, and what is expected."""

    def __init__(self, name, path, *, signed=False, refused=False, tool=load.wrk, tls=False, **options):
        self.name, self.path = name, path
        self.signed, self.refused, self.tool, self.tls, self.options = signed, refused, tool, tls, options

    def run(self, side, seconds):
        headers = [*self.options.get("headers", [])]
        if self.signed:
            headers.append(f"Authorization: Bearer {side.token}")
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
           "express": lambda name: name.startswith(("TLS", "HTTP/2")),
           "bare": lambda name: name not in ["plain", "body 10 KB", "body 1 MB"],
           "pingap": lambda name: name not in ["full HS256", "plain", "body 10 KB", "body 1 MB"]}
# Who checks nothing, asked in turns with those who do the whole job: what the checks cost beside.
BESIDE = {"full HS256": ["nginx", "bare"]}
# The same, but sent the very requests of the job, which it passes on as they are.
UNCHECKED = {"full HS256": ["bare"]}
