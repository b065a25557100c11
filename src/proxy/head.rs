//! Pingora's heads, opened. Pingora keeps a header's name a second time, in the case in which it came, and reads each
//! name anew from its text with every change. A head that was opened is a map whose names are constants: changing it
//! costs a third. Its names go on in lower case, as HTTP/2 has them anyway (RFC 9110 §5.1, RFC 9113 §8.2.1).

use http::{HeaderMap, Request, request, response};
use pingora::http::{RequestHeader, ResponseHeader};

/// Changes a request's head. Its target is from then on what `uri` says: one that came in absolute form is in
/// origin form.
pub fn change_request<T>(
    head: &mut RequestHeader,
    change: impl FnOnce(&mut request::Parts) -> T,
) -> T {
    let nothing = Request::new(()).into_parts().0;
    let mut parts = std::mem::replace(head, nothing.into()).into();
    let done = change(&mut parts);
    *head = parts.into();
    done
}

/// Changes the header fields of an answer. Its reason phrase stays.
pub fn change_response<T>(
    head: &mut ResponseHeader,
    change: impl FnOnce(&mut HeaderMap) -> T,
) -> T {
    let phrase = own_phrase(head).map(str::to_owned);
    let nothing = http::Response::new(()).into_parts().0;
    let mut parts: response::Parts = std::mem::replace(head, nothing.into()).into();
    let done = change(&mut parts.headers);
    *head = parts.into();
    if phrase.is_some() {
        // It can't fail: nothing is checked.
        let _ = head.set_reason_phrase(phrase.as_deref());
    }
    done
}

/// Forgets in which case the names of a request came, where nothing else is lost by it: what copies it copies less.
pub fn forget_case(head: &mut RequestHeader) {
    // Any other target is not kept by the map alone.
    if head.has_case() && head.raw_path().starts_with(b"/") && head.raw_path_is_utf8() {
        change_request(head, |_| ());
    }
}

/// A phrase that is not the usual one of the status (RFC 9112 §4).
fn own_phrase(head: &ResponseHeader) -> Option<&str> {
    let phrase = head.get_reason_phrase();
    phrase.filter(|_| phrase != head.status.canonical_reason())
}

#[cfg(test)]
mod tests {
    use http::header::{HOST, SERVER};
    use http::{HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn a_request_is_what_it_was_but_for_the_change() {
        let mut head = RequestHeader::build("PUT", b"/a?b=c", None).unwrap();
        head.append_header("X-Two", "1").unwrap();
        head.append_header("x-two", "2").unwrap();
        change_request(&mut head, |parts| {
            parts.headers.insert(HOST, HeaderValue::from_static("h"));
        });
        assert_eq!(
            (head.method.as_str(), head.raw_path()),
            ("PUT", &b"/a?b=c"[..])
        );
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        let wire = String::from_utf8(wire).unwrap();
        assert_eq!(wire, "x-two: 1\r\nx-two: 2\r\nHost: h\r\n");
    }

    #[test]
    fn an_answer_keeps_its_status_and_its_phrase() {
        for phrase in [Some("Fine"), None] {
            let mut head = ResponseHeader::build(StatusCode::OK, None).unwrap();
            head.set_reason_phrase(phrase).unwrap();
            head.append_header(SERVER, "s").unwrap();
            let removed = change_response(&mut head, |headers| headers.remove(SERVER));
            assert_eq!(removed.unwrap(), "s");
            assert_eq!(head.status, StatusCode::OK);
            assert_eq!(head.get_reason_phrase(), phrase.or(Some("OK")));
        }
    }

    #[test]
    fn a_target_that_would_change_keeps_its_head_as_it_came() {
        for (target, forgotten) in [
            (&b"/a"[..], true),
            (b"/a?b", true),
            (b"http://h/a", false),
            (b"*", false),
            (b"/\xff", false),
        ] {
            let mut head = RequestHeader::build("GET", target, None).unwrap();
            head.append_header("X-Case", "1").unwrap();
            forget_case(&mut head);
            assert_eq!(!head.has_case(), forgotten, "{target:?}");
            assert_eq!(head.raw_path(), target);
        }
    }
}
