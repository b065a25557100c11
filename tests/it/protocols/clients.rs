//! The clients that people use, through TLS: curl, h2load, Python's httpx, Node's undici, over HTTP/2 and HTTP/1.1.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::edge::with_top;
use crate::support::installed::{installed, modules};
use crate::support::origin::{Origin, Reply};
use crate::support::port;
use crate::support::python;
use crate::support::server::Airside;
use crate::support::tls::Authority;

const ROUTES: &str = "  - { path: /*, upstream: origin }\n  - { path: /flights, upstream: origin, compress: [br, gzip] }";
const TOP: &str = r#"server: { trusted_proxies: [127.0.0.1] }
listeners:
  - { address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }] }, protocols: [http1, http2] }
  - { address: "{h2c}", protocols: [http1, http2] }
  - { address: "{proxied}", proxy_protocol: true }"#;
/// Long enough to be compressed.
const FLIGHTS: &str = "flights from here to there, flights from here to there, flights from here to there, flights from here to there, flights from here to there, flights from here to there, flights from here to there, flights from here to there, flights from here to there, flights from here to there";

/// A gateway that the page's commands are for, and what they trust.
struct Set {
    airside: Airside,
    origin: Origin,
    h2c: String,
    proxied: String,
}

impl Set {
    fn start() -> Self {
        let (authority, origin) = (Authority::new("ca"), Origin::start());
        let page = Reply::new(200, FLIGHTS).header("Content-Type", "text/plain");
        origin.on("/flights", page);
        let (h2c, proxied) = (port::free().to_string(), port::free().to_string());
        let set_up = with_top(TOP, ROUTES).origin(&origin);
        let set_up = set_up.set("h2c", &h2c).set("proxied", &proxied);
        let leaf = authority.sign(&["127.0.0.1"]);
        leaf.write(set_up.folder(), "one");
        let airside = set_up.file("ca.pem", authority.pem()).start();
        Self {
            airside,
            origin,
            h2c,
            proxied,
        }
    }

    fn url(&self) -> String {
        format!("https://{}", self.airside.address())
    }

    fn ca(&self) -> PathBuf {
        self.airside.folder().join("ca.pem")
    }

    /// Runs a line of shell, in which `python3` and `node` have their libraries and all trust the authority.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let python = python::python().parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", line])
            .env("PATH", format!("{}:{path}", python.display()))
            .env("NODE_PATH", modules(installed()))
            .envs(
                ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"]
                    .map(|name| (name, self.ca())),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn each_command_of_the_page_does_what_it_says() {
    let set = Set::start();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOLS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("## To try\n\n```sh\n").unwrap();
    let lines: Vec<_> = rest.split("\n```").next().unwrap().lines().collect();
    let (mut protocols, mut asked) = (Vec::new(), 0);
    for line in &lines {
        let own = line
            .replace("https://api.example.com:8443", &set.url())
            .replace("127.0.0.1:3004", &set.h2c)
            .replace("127.0.0.1:3005", &set.proxied);
        assert_ne!(own, *line, "every one asks this gateway");
        let said = set.run(&own);
        if line.starts_with("h2load") {
            assert!(said.contains("2000 succeeded, 0 failed"), "{line}\n{said}");
            assert!(said.contains("status codes: 2000 2xx"), "{line}\n{said}");
        } else {
            assert!(said.contains(FLIGHTS), "{line}\n{said}");
        }
        for (word, told) in [
            ("--http2 ", "by HTTP/2"),
            ("--http1.1 ", "by HTTP/1.1"),
            ("Encoding: br", "content-encoding: br"),
            ("http2=True", "HTTP/2 flights"),
            ("httpx.Client()", "HTTP/1.1 flights"),
        ] {
            let lower = said.to_lowercase();
            let kept = !line.contains(word) || lower.contains(&told.to_lowercase());
            assert!(kept, "{line}\n{said}");
        }
        asked += if line.starts_with("h2load") { 2_000 } else { 1 };
        let last = set.airside.wait_for_access_log(asked).pop().unwrap();
        protocols.push(last["protocol"].as_str().unwrap().to_owned());
    }
    let expected = [
        "HTTP/2", "HTTP/1.1", "HTTP/2", "HTTP/2", "HTTP/1.1", "HTTP/2", "HTTP/2", "HTTP/1.1",
        "HTTP/2", "HTTP/1.1", "HTTP/2", "HTTP/1.1",
    ];
    assert_eq!(protocols, expected, "{lines:#?}");
}

/// Each answer is its own request's: path, method and body come back, and over the version that was asked for.
#[track_caller]
fn assert_own(answers: &Value, via: &str) {
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 100);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer["status"], 200, "{number}");
        let echo = &answer["echo"];
        assert_eq!(echo["target"], format!("/echo/{number}?n={number}"));
        let length = if number % 2 == 1 { number * 1_000 } else { 0 };
        assert_eq!(echo["body"].as_str().unwrap().len(), length, "{number}");
        assert_eq!(echo["method"], if length > 0 { "POST" } else { "GET" });
        assert_eq!(echo["headers"]["via"], via, "{number}");
        assert_eq!(echo["headers"]["x-forwarded-proto"], "https", "{number}");
    }
}

const HTTPX: &str = r#"
import asyncio, httpx, json, ssl, sys
told = json.load(sys.stdin)

async def main():
    context = ssl.create_default_context(cafile=told["ca"])
    async with httpx.AsyncClient(http2=told["http2"], verify=context, timeout=60) as client:
        async def ask(number):
            url = f"{told['url']}/echo/{number}?n={number}"
            body = b"x" * (number * 1000)
            answer = await (client.post(url, content=body) if number % 2 else client.get(url))
            return {"status": answer.status_code, "version": answer.http_version, "echo": answer.json()}
        return await asyncio.gather(*(ask(number) for number in range(100)))

json.dump(asyncio.run(main()), sys.stdout)
"#;

#[test]
fn a_hundred_requests_at_once_of_pythons_httpx_get_their_own_answers() {
    let set = Set::start();
    for (http2, version, via) in [
        (true, "HTTP/2", "2 airside"),
        (false, "HTTP/1.1", "1.1 airside"),
    ] {
        let told = json!({ "url": set.url(), "ca": set.ca(), "http2": http2 });
        let answers = python::run(HTTPX, &told);
        assert_own(&answers, via);
        let versions = answers.as_array().unwrap().iter();
        assert!(versions.clone().all(|answer| answer["version"] == version));
    }
}

const UNDICI: &str = r#"
const { Client } = require("undici");
const [url, http2] = process.argv.slice(1);
const client = new Client(url, { allowH2: http2 === "true", pipelining: http2 === "true" ? 100 : 1 });
const ask = async (number) => {
  const body = "x".repeat(number * 1000);
  const more = number % 2 ? { method: "POST", body } : { method: "GET" };
  const answer = await client.request({ path: `/echo/${number}?n=${number}`, ...more });
  return { status: answer.statusCode, echo: await answer.body.json() };
};
Promise.all([...Array(100).keys()].map(ask)).then((answers) => {
  console.log(JSON.stringify(answers));
  return client.close();
});
"#;

#[test]
fn a_hundred_requests_at_once_of_nodes_undici_get_their_own_answers() {
    let set = Set::start();
    for (http2, via) in [(true, "2 airside"), (false, "1.1 airside")] {
        let said = set.run(&format!("node -e '{UNDICI}' {} {http2}", set.url()));
        assert_own(&serde_json::from_str(&said).unwrap(), via);
    }
}

#[test]
fn h2load_gets_every_answer_of_a_hundred_streams_on_each_connection() {
    let set = Set::start();
    for connections in [1, 8] {
        let said = set.run(&format!(
            "h2load -n 4000 -c {connections} -m 100 {}/echo/h2load",
            set.url()
        ));
        assert!(said.contains("Application protocol: h2"), "{said}");
        assert!(
            said.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"),
            "{said}"
        );
        assert!(said.contains("status codes: 4000 2xx"), "{said}");
    }
    assert_eq!(set.origin.count(), 8_000);
}
