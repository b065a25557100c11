//! Trailers as bytes: read in any pieces, written, and refused.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The follower's word on these bytes, which is the same in whatever pieces they come.
#[track_caller]
fn found(kind: Kind, bytes: &[u8]) -> Found {
    let in_pieces = |size| {
        let mut follower = Follower::new(kind);
        bytes.chunks(size).for_each(|piece| follower.read(piece));
        follower.found()
    };
    let whole = in_pieces(bytes.len());
    for size in [1, 2, 3, 5, 7, 16] {
        assert_eq!(in_pieces(size), whole, "in pieces of {size}");
    }
    whole
}

fn of(fields: &[(&'static str, &'static str)]) -> Found {
    let fields = fields.iter();
    Ok(Trailers(
        fields
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect(),
    ))
}

fn request(body: &str) -> Found {
    found(Kind::Request, &[HEAD, body.as_bytes()].concat())
}

#[test]
fn trailers_are_found_behind_every_body_in_chunks() {
    assert_eq!(request("0\r\n\r\n"), of(&[]));
    assert_eq!(request("3\r\nabc\r\n0\r\n\r\n"), of(&[]));
    let two = of(&[("x-a", "1"), ("x-b", "")]);
    assert_eq!(request("3\r\nabc\r\n0\r\nX-A: 1\r\nX-B:\r\n\r\n"), two);
    assert_eq!(
        request("0A;a=b\r\n0123456789\r\n00 ;x\r\nx-a:1 \r\nX-B: \r\n\r\n"),
        two
    );
    // What looks like an end, within a chunk.
    let hidden = "10\r\n0\r\nX-A: 2\r\n\r\n4\r\n\r\n0\r\nX-A: 1\r\nX-B: \r\n\r\n";
    assert_eq!(request(hidden), two);
    let kept = "0\r\nX-A: 1\r\nX-B: \r\n\r\nGET / HTTP/1.1\r\n";
    assert_eq!(request(kept), two, "what follows is another's");
}

#[test]
fn heads_end_where_a_parser_sees_them_end() {
    for head in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
    ] {
        let bytes = format!("{head}0\r\nX-A: 1\r\n\r\n");
        assert_eq!(
            found(Kind::Request, bytes.as_bytes()),
            of(&[("x-a", "1")]),
            "{head:?}"
        );
    }
}

#[test]
fn an_answer_comes_behind_the_interim_ones() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    let answer = format!("{interim}HTTP/1.1 200 OK\r\nA: b\r\n\r\n1\r\na\r\n0\r\nX-A: 1\r\n\r\n");
    assert_eq!(found(Kind::Answer, answer.as_bytes()), of(&[("x-a", "1")]));
    let mut follower = Follower::new(Kind::Answer);
    follower.read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 On\r\nA: b\r\n\r\nhello");
    assert_eq!(follower.behind_the_head(), 5, "a tunnel has no other head");
    assert!(follower.has_switched());
    follower.restart();
    follower.read(b"HTTP/1.1 101 On\r\n");
    assert!(!follower.has_switched());
    follower.restart();
    follower.read(b"HTTP/1.1 403 No\r\n\r\n");
    assert!(!follower.has_switched());
}

#[test]
fn what_is_no_trailer_is_refused() {
    for body in [
        "0\r\nX-A\r\n\r\n",
        "0\r\nX-A : 1\r\n\r\n",
        "0\r\n: 1\r\n\r\n",
        "0\r\nX-A: 1\r\n 2\r\n\r\n",
        "0\r\n X-A: 1\r\n\r\n",
        "0\r\nX-A: a\0b\r\n\r\n",
        "0\r\nX-A: a\rb\r\n\r\n",
        "0\r\nX-A: a\nX-B: b\r\n\r\n",
        "0\r\nX-A: 1\n\n",
        "0\r\nX(A: 1\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // No end, or none that is agreed on.
        "0\r\nX-A: 1\r\n",
        "\r\nX-A: 1\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        assert_eq!(request(body), Err(Malformed), "{body:?}");
    }
}

#[test]
fn there_is_a_bound_for_bytes_and_for_fields() {
    let line = |length: usize| format!("0\r\nX: {}\r\n\r\n", "a".repeat(length));
    assert!(request(&line(MOST_BYTES - 10)).is_ok());
    assert_eq!(request(&line(MOST_BYTES)), Err(Malformed));
    let lines = |count: usize| format!("0\r\n{}\r\n", "X: a\r\n".repeat(count));
    assert!(request(&lines(MOST_FIELDS)).is_ok());
    assert_eq!(request(&lines(MOST_FIELDS + 1)), Err(Malformed));
    assert_eq!(request(&lines(MOST_BYTES)), Err(Malformed));
}

#[test]
fn what_is_written_is_what_was_read() {
    let read = of(&[("x-a", "1"), ("x-a", "2"), ("x-b", "")]).unwrap();
    let end = read.end();
    assert_eq!(end, &b"0\r\nx-a: 1\r\nx-a: 2\r\nx-b: \r\n\r\n"[..]);
    assert_eq!(
        found(Kind::Request, &[HEAD, &end].concat()),
        Ok(read.clone())
    );
    let some = read.only(|name| name != "x-a");
    assert_eq!(some.end(), &b"0\r\nx-b: \r\n\r\n"[..]);
}

#[tokio::test]
async fn an_end_is_replaced_at_the_body_s_end_only_however_narrow_the_way() {
    for width in [1, 2, 7, 1024] {
        let (mut near, mut far) = tokio::io::duplex(width);
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        let mut tail = Tail::new(Kind::Answer);
        let mut end = Some(Bytes::from_static(b"0\r\nX: y\r\n\r\n"));
        // The second piece looks like the end, and is data.
        for piece in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "5\r\n",
            "0\r\n\r\n",
            "\r\n",
            "0\r\n\r\n",
        ] {
            let mut piece = piece.as_bytes();
            while !piece.is_empty() {
                let write = |context: &mut std::task::Context<'_>| {
                    tail.poll_write(&mut near, context, piece, || end.take())
                };
                let written = std::future::poll_fn(write).await.unwrap();
                piece = &piece[written..];
            }
        }
        std::future::poll_fn(|context| tail.poll_rest(&mut near, context))
            .await
            .unwrap();
        near.shutdown().await.unwrap();
        drop(near);
        let all = reader.await.unwrap();
        let expected = "HTTP/1.1 200 OK\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\nX: y\r\n\r\n";
        assert_eq!(String::from_utf8(all).unwrap(), expected, "{width}");
    }
}
