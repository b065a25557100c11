//! gRPC's own question after a server's health (`grpc.health.v1.Health/Check`), and what the answer says. Its two
//! messages have one field each, so they are written and read here. When and where it is asked is `probe`'s.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::prelude::*;
use pingora::protocols::http::v2::client::Http2Session;

/// Who asks.
pub const AGENT: &str = "airside-probe";

/// Asks about `service`, or about the whole server where that is empty. Brings what is wrong; `None` where it serves.
/// The server is told of `patience`; to keep to it is the caller's affair.
pub async fn ask(
    stream: &mut Http2Session,
    authority: HeaderValue,
    service: &str,
    patience: Duration,
) -> Result<Option<String>> {
    let mut request = RequestHeader::build("POST", METHOD, Some(6))?;
    request.insert_header(header::HOST, authority)?;
    request.insert_header(header::USER_AGENT, AGENT)?;
    request.insert_header(header::CONTENT_TYPE, "application/grpc")?;
    request.insert_header(header::TE, "trailers")?;
    // At most eight digits.
    let millis = patience.as_millis().clamp(1, 99_999_999);
    request.insert_header("grpc-timeout", format!("{millis}m"))?;
    stream.write_request_header(Box::new(request), false)?;
    stream.write_request_body(question(service), true).await?;

    stream.read_response_header().await?;
    let head = stream.response_header();
    let head = head.or_err(InvalidHTTPHeader, "no head")?;
    if head.status != StatusCode::OK {
        let status = head.status.as_u16();
        return Ok(Some(format!("its health service answered {status}")));
    }
    // An answer without a message has its status in the head.
    if let Some(refused) = refusal(&head.headers, service) {
        return Ok(Some(refused));
    }
    let mut answer = Vec::new();
    while let Some(piece) = stream.read_response_body().await? {
        answer.extend_from_slice(&piece);
        if answer.len() > MOST {
            return Ok(Some("its health service talks without an end".to_owned()));
        }
    }
    let trailers = stream.read_trailers().await?.unwrap_or_default();
    if !trailers.contains_key(STATUS) {
        return Ok(Some("its health service broke its answer off".to_owned()));
    }
    Ok(refusal(&trailers, service).or_else(|| fault(&answer)))
}

/// A `HealthCheckRequest`, as gRPC frames it: not compressed, its length, then field 1.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(SERVICE);
        let mut length = service.len();
        while length > 0x7f {
            message.put_u8(length as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put(message);
    framed.freeze()
}

/// Why the call failed, where these say that it did.
fn refusal(headers: &HeaderMap, service: &str) -> Option<String> {
    match headers.get(STATUS)?.to_str().unwrap_or_default() {
        "0" => None,
        "5" => Some(format!("its health service does not know `{service}`")),
        "12" => Some("it has no health service".to_owned()),
        code => Some(format!("its health service answered with status {code:?}")),
    }
}

/// What a framed `HealthCheckResponse` says against the server.
fn fault(framed: &[u8]) -> Option<String> {
    let said = match served(framed) {
        Some(1) => return None,
        Some(2) => "NOT_SERVING",
        Some(3) => "SERVICE_UNKNOWN",
        Some(_) => "UNKNOWN",
        None => return Some("its health service talks garbage".to_owned()),
    };
    Some(format!("it says {said} of itself"))
}

/// The status in a framed `HealthCheckResponse`: field 1, and zero where that is left out. `None`: it is none.
fn served(framed: &[u8]) -> Option<u64> {
    let ([0, length @ ..], mut message) = framed.split_first_chunk::<5>()? else {
        return None;
    };
    if u32::from_be_bytes(*length) as usize != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut message)?,
            // Fields of a later version, by their kinds.
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = varint(&mut message)?;
                message = message.get(usize::try_from(length).ok()?..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// Takes a number of protobuf's off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const METHOD: &[u8] = b"/grpc.health.v1.Health/Check";
const STATUS: &str = "grpc-status";
/// Field 1, with a length.
const SERVICE: u8 = 0x0a;
/// Of an answer; it has some seven bytes.
const MOST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, message.len() as u8], message].concat()
    }

    #[test]
    fn the_question_names_the_service_and_the_whole_server_has_no_name() {
        assert_eq!(question(""), framed(b""));
        assert_eq!(question("a.B"), framed(b"\x0a\x03a.B"));
        let long = "x".repeat(300);
        let asked = question(&long);
        assert_eq!(asked[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(&asked[8..], long.as_bytes());
    }

    #[test]
    fn only_serving_is_well() {
        assert_eq!(fault(&framed(&[8, 1])), None);
        for (message, said) in [
            (&[8, 2][..], "NOT_SERVING"),
            (&[8, 3], "SERVICE_UNKNOWN"),
            (&[8, 0], "UNKNOWN"),
            (&[8, 9], "UNKNOWN"),
            (&[], "UNKNOWN"),
        ] {
            let why = fault(&framed(message)).unwrap();
            assert!(why.contains(said), "{why}");
        }
        // Fields that nobody knows yet are passed over.
        let later = [&b"\x12\x02hi\x18\x05\x25abcd"[..], b"\x21abcdefgh\x08\x01"].concat();
        assert_eq!(fault(&framed(&later)), None);
    }

    #[test]
    fn what_is_no_answer_is_garbage_and_never_well() {
        let compressed = [1, 0, 0, 0, 2, 8, 1];
        let cut = [0, 0, 0, 0, 3, 8, 1];
        let endless = framed(&[
            8, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1,
        ]);
        let group = framed(&[0x0b]);
        let short = framed(b"\x12\x09hi");
        for wrong in [
            &compressed[..],
            &cut,
            b"",
            b"\0\0",
            &endless,
            &group,
            &short,
        ] {
            assert!(fault(wrong).unwrap().contains("garbage"), "{wrong:?}");
        }
    }

    #[test]
    fn a_failed_call_is_told_in_words() {
        let with = |code: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(STATUS, HeaderValue::from_static(code));
            refusal(&headers, "a.B")
        };
        assert_eq!(with("0"), None);
        assert_eq!(refusal(&HeaderMap::new(), ""), None);
        assert!(with("5").unwrap().contains("does not know `a.B`"));
        assert!(with("12").unwrap().contains("no health service"));
        assert!(with("14").unwrap().contains("status \"14\""));
    }
}
