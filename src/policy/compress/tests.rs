//! What is agreed on, which answers are coded, and that they can be read.

use std::io::Read;

use super::*;

const ALL: &[Coding] = &[Coding::Zstd, Coding::Brotli, Coding::Gzip];

fn agreed(accept: &str) -> Agreed {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
    agree(ALL, &headers)
}

#[test]
fn the_clients_taste_goes_before_the_routes() {
    for (accept, expected) in [
        ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
        ("gzip, br", Some(Coding::Brotli)),
        ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
        ("GZIP", Some(Coding::Gzip)),
        ("*", Some(Coding::Zstd)),
        ("*;q=0.5, gzip", Some(Coding::Gzip)),
        ("*, zstd;q=0", Some(Coding::Brotli)),
        ("gzip;q=0", None),
        ("gzip;q=0.0, identity", None),
        ("gzip;q=many", None),
        ("deflate", None),
        ("identity", None),
        ("", None),
    ] {
        assert_eq!(agreed(accept), expected, "{accept}");
    }
    assert_eq!(agree(ALL, &HeaderMap::new()), None);
}

fn answer(headers: &[(&'static str, &str)]) -> HeaderMap {
    let mut response = HeaderMap::new();
    for (name, value) in headers {
        response.append(*name, HeaderValue::from_str(value).unwrap());
    }
    response
}

#[test]
fn what_gains_nothing_or_must_not_change_passes_as_it_is() {
    for headers in [
        &[("content-type", "image/png"), ("content-length", "5000")][..],
        &[("content-type", "text/event-stream")],
        &[("content-type", "text/plain"), ("content-length", "255")],
        &[("content-type", "text/plain"), ("content-encoding", "br")],
        &[
            ("content-type", "text/plain"),
            ("cache-control", "public, no-transform"),
        ],
        &[("content-length", "5000")],
    ] {
        let mut response = answer(headers);
        assert!(
            Encoder::begin(Some(Coding::Gzip), StatusCode::OK, &mut response).is_none(),
            "{headers:?}"
        );
        assert_eq!(response.len(), headers.len(), "{headers:?}");
    }
    let mut part = answer(&[("content-type", "text/plain")]);
    let status = StatusCode::PARTIAL_CONTENT;
    assert!(Encoder::begin(Some(Coding::Gzip), status, &mut part).is_none());
}

#[test]
fn the_head_tells_of_the_change() {
    let headers = [
        ("content-type", "application/problem+json"),
        ("content-length", "5000"),
        ("accept-ranges", "bytes"),
        ("etag", "\"a\""),
        ("vary", "Origin"),
    ];
    let mut response = answer(&headers);
    assert!(Encoder::begin(Some(Coding::Brotli), StatusCode::OK, &mut response).is_some());
    assert_eq!(response["content-encoding"], "br");
    assert_eq!(response["etag"], "W/\"a\"");
    assert!(!response.contains_key("content-length"));
    assert!(!response.contains_key("accept-ranges"));
    let vary: Vec<_> = response.get_all("vary").iter().collect();
    assert_eq!(vary, ["Origin", "Accept-Encoding"]);

    // Another client might have got it coded: a cache must know.
    let mut plain = answer(&headers);
    assert!(Encoder::begin(None, StatusCode::OK, &mut plain).is_none());
    assert_eq!(plain.get_all("vary").iter().count(), 2);
    assert_eq!(plain["etag"], "\"a\"");
}

fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        Coding::Zstd => zstd::stream::read::Decoder::new(bytes)
            .unwrap()
            .read_to_end(&mut out),
    }
    // A stream that is not over yet ends in an error, after what there is.
    .unwrap_or_default();
    out
}

#[test]
fn what_is_coded_is_decoded_to_the_same_bytes() {
    let text: Vec<u8> = (0..200_000u32)
        .flat_map(|number| number.to_string().into_bytes())
        .collect();
    for coding in ALL {
        let mut response = answer(&[
            ("content-type", "text/plain"),
            ("content-length", "1000000"),
        ]);
        let mut encoder = Encoder::begin(Some(*coding), StatusCode::OK, &mut response).unwrap();
        let mut whole = Vec::new();
        for piece in text.chunks(10_000) {
            whole.extend_from_slice(&encoder.push(piece, false).unwrap());
        }
        whole.extend_from_slice(&encoder.push(b"", true).unwrap());
        assert!(whole.len() < text.len() / 2, "{coding:?}: {}", whole.len());
        assert!(decoded(*coding, &whole) == text, "{coding:?}");
    }
}

#[test]
fn a_piece_of_an_endless_answer_can_be_read_at_once() {
    for coding in ALL {
        let mut response = answer(&[("content-type", "application/x-ndjson")]);
        let mut encoder = Encoder::begin(Some(*coding), StatusCode::OK, &mut response).unwrap();
        let mut sofar = Vec::new();
        for round in 1..=3 {
            sofar.extend_from_slice(&encoder.push(b"{\"a\":1}\n", false).unwrap());
            assert_eq!(decoded(*coding, &sofar).len(), 8 * round, "{coding:?}");
        }
    }
}
