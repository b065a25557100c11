//! One batch by HTTP to the collector, and what its answer means (OTLP 1, "OTLP/HTTP Response").

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;
use rustls::ClientConfig;

use super::config::{Compression, Tracing};
use super::otlp::ExportTraceServiceResponse;
use crate::base::trust::system_authorities;

/// A client that keeps its connection. It follows no redirect and asks no proxy.
pub(super) struct Post {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    TakenInPart {
        rejected: u64,
        why: String,
    },
    /// It may be tried again, after this time if the collector says so.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// It would never be taken.
    Refused(String),
}

impl Post {
    /// Trusts the system's authorities.
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(system_authorities())
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { client })
    }

    /// Posts a batch; whatever happens is an answer, within ten seconds.
    pub(super) async fn send(&self, to: &Tracing, body: Vec<u8>) -> Answer {
        let request = match request(to, body) {
            Ok(request) => request,
            Err(why) => return Answer::Refused(why),
        };
        let asked = async {
            match self.client.request(request).await {
                Ok(response) => judge(response).await,
                Err(error) => later(root(&error)),
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        answer.unwrap_or_else(|_| later(format!("no answer within {} s", PATIENCE.as_secs())))
    }
}

fn request(to: &Tracing, body: Vec<u8>) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::post(to.otlp.0.clone())
        .header(header::CONTENT_TYPE, PROTOBUF)
        .header(
            header::USER_AGENT,
            concat!("airside/", env!("CARGO_PKG_VERSION")),
        );
    let body = match to.compression {
        Compression::None => body,
        Compression::Gzip => {
            request = request.header(header::CONTENT_ENCODING, "gzip");
            gzip(&body).map_err(|error| error.to_string())?
        }
    };
    let body = Full::new(Bytes::from(body));
    let mut request = request.body(body).map_err(|error| error.to_string())?;
    for (name, value) in &to.headers.0 {
        request.headers_mut().insert(name, value.clone());
    }
    Ok(request)
}

async fn judge(response: Response<Incoming>) -> Answer {
    let status = response.status();
    match status {
        StatusCode::OK => {
            let body = Limited::new(response.into_body(), MAX_ANSWER)
                .collect()
                .await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            // One that can't be read, such as JSON, came with a 200 all the same.
            let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            part(answer)
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Later {
            why: format!("it answers {status}"),
            after: response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| retry_after(value, SystemTime::now())),
        },
        _ if status.is_success() => Answer::Taken,
        _ => Answer::Refused(format!("it answers {status}")),
    }
}

/// Spans that were rejected are not sent again ("Partial Success").
fn part(answer: ExportTraceServiceResponse) -> Answer {
    let part = answer.partial_success.unwrap_or_default();
    match u64::try_from(part.rejected_spans) {
        Ok(rejected @ 1..) => {
            let said: String = part.error_message.chars().take(200).collect();
            let why = format!("it rejects {rejected} spans: {said}");
            Answer::TakenInPart { rejected, why }
        }
        _ => Answer::Taken,
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date: SystemTime = date.timestamp().into();
    Some(date.duration_since(now).unwrap_or_default())
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn later(why: impl Into<String>) -> Answer {
    Answer::Later {
        why: why.into(),
        after: None,
    }
}

/// The first cause; those around it only say where it was met.
fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

const PROTOBUF: &str = "application/x-protobuf";
/// For all of it: the name, the connection, TLS, and the answer to its last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// An unused connection is kept for less than collectors keep theirs.
const IDLE: Duration = Duration::from_secs(20);
const MAX_ANSWER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tracing::otlp::PartialSuccess;

    #[test]
    fn seconds_and_dates_say_when_to_come_back() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        let after = |text: &'static str| retry_after(&HeaderValue::from_static(text), now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        let date = after("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date, Some(Duration::from_secs(77)));
        let past = after("Sun, 06 Nov 1994 08:00:00 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn a_batch_may_be_taken_in_part() {
        let answer = |rejected_spans| {
            part(ExportTraceServiceResponse {
                partial_success: Some(PartialSuccess {
                    rejected_spans,
                    error_message: "too old".to_owned(),
                }),
            })
        };
        assert_eq!(answer(0), Answer::Taken);
        assert_eq!(answer(-1), Answer::Taken);
        let Answer::TakenInPart { rejected: 3, why } = answer(3) else {
            panic!("3 were rejected");
        };
        assert!(why.contains("too old"), "{why}");
    }
}
