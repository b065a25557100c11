//! An ordinary HTTP client: what it gets it shows, without following redirects or using a proxy.

use super::wait::PATIENCE;

/// A client with its own connections.
pub fn client() -> reqwest::Client {
    super::tls::install_crypto();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .expect("a client can be made")
}

/// The value of a header; empty where there is none.
pub fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("a header of ASCII"))
}

/// Asserts the status, and brings the body as JSON. A wrong status fails with the body in sight.
#[track_caller]
pub fn json(response: reqwest::Response, status: u16) -> impl Future<Output = serde_json::Value> {
    let place = std::panic::Location::caller();
    async move {
        let found = response.status().as_u16();
        let body = response.text().await.expect("a whole body");
        assert_eq!(found, status, "at {place}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("at {place}: not JSON: {body}"))
    }
}

#[tokio::test]
async fn an_answer_is_read_with_its_headers() {
    let origin = super::origin::Origin::start();
    let url = format!("http://{}/a", origin.address());
    let response = client().get(url).header("X-A", "b").send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "x-none"), "");
    assert_eq!(json(response, 200).await["headers"]["x-a"], "b");
}
