//! What the bytes of a connection are taken for, phase by phase.

use super::*;

fn patience() -> Patience {
    Patience {
        header: Duration::from_secs(1),
        idle: Duration::from_secs(2),
        body: Duration::from_secs(3),
        tunnel: Duration::from_secs(4),
    }
}

fn one() -> (One, Arc<Line>) {
    let line = Arc::new(Line::default());
    let mut one = One::new(line.clone(), 1_000, Instant::now());
    assert!(one.follow());
    (one, line)
}

#[test]
fn each_phase_has_its_own_time() {
    let (mut one, line) = one();
    let patience = patience();
    let mut due = None;
    assert_eq!(one.patience(&patience), Some(patience.header), "the first");
    one.took(b"GET / ", &mut due);
    assert_eq!(one.patience(&patience), Some(patience.header));
    line.set(Phase::Body);
    assert!(one.follow());
    assert_eq!(one.patience(&patience), Some(patience.body));
    line.set(Phase::Answering);
    assert!(one.follow());
    assert_eq!(one.patience(&patience), None);
    line.set(Phase::Fresh);
    assert!(one.follow());
    assert_eq!(one.patience(&patience), Some(patience.idle), "between two");
    one.took(b"G", &mut due);
    assert_eq!(one.patience(&patience), Some(patience.header));
    line.set(Phase::Tunnel);
    assert!(one.follow() && !one.follow());
    assert_eq!(one.patience(&patience), Some(patience.tunnel));
}

#[test]
fn a_body_must_get_on_by_a_step_not_by_a_byte() {
    let (mut one, line) = one();
    line.set(Phase::Body);
    one.follow();
    let at = Instant::now() + Duration::from_secs(9);
    let mut due = Some(at);
    for _ in 0..STEP - 1 {
        one.took(b"x", &mut due);
    }
    assert_eq!(due, Some(at));
    one.took(b"x", &mut due);
    assert_eq!(due, None);
}

#[test]
fn a_byte_in_the_moment_in_which_the_time_ends_is_no_step_either() {
    let (mut one, line) = one();
    line.set(Phase::Body);
    one.follow();
    let passed = Some(Instant::now() - Duration::from_millis(1));
    let mut due = passed;
    one.took(b"x", &mut due);
    assert_eq!(due, passed, "it is late when it has to be waited for again");
    one.took(&[b'x'; STEP - 1], &mut due);
    assert_eq!(due, None, "it came while nobody was reading");
}

#[test]
fn a_head_without_end_is_too_long_in_its_first_line_or_in_its_fields() {
    let mut due = None;
    let (mut target, _) = one();
    target.took(&[b'a'; 1_001], &mut due);
    assert!(target.is_refused());
    assert!(
        target
            .last_word(false)
            .unwrap()
            .starts_with(b"HTTP/1.1 414 ")
    );
    let (mut fields, _) = one();
    fields.took(b"GET / HTTP/1.1\r\n", &mut due);
    fields.took(&[b'a'; 1_001], &mut due);
    assert!(fields.is_refused());
    assert!(
        fields
            .last_word(false)
            .unwrap()
            .starts_with(b"HTTP/1.1 431 ")
    );
    let (mut fits, _) = one();
    fits.took(&[b'a'; 1_000], &mut due);
    assert!(!fits.is_refused());
}

#[test]
fn who_closes_within_a_head_is_told_nothing_and_noted() {
    let (mut one, line) = one();
    let mut due = None;
    assert!(one.took(b"", &mut due), "it never began");
    one.took(b"GET", &mut due);
    assert!(!one.took(b"", &mut due));
    one.refuse(None, "client_gone");
    assert_eq!(one.last_word(false), None);
    let word = line.take_word().unwrap();
    assert_eq!((word.status(), word.reason), (0, "client_gone"));
}
