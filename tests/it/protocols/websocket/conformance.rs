//! More than a hundred conversations, each once with the server itself and once through the gateway: both
//! must end alike, to the last frame and the code of the close.

use crate::support::websocket::{Echo, Frame, converse};

/// What is sent, in pieces as they are written.
struct Case {
    name: String,
    pieces: Vec<Vec<u8>>,
}

#[test]
fn every_conversation_ends_as_it_does_without_the_gateway() {
    let echo = Echo::start();
    let airside = super::start(echo.address());
    let cases = cases();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let mut differ = Vec::new();
    for case in &cases {
        let direct = converse(echo.address(), &case.pieces, false);
        let through = converse(airside.address(), &case.pieces, false);
        if direct != through {
            differ.push(format!("{}: {direct:?} became {through:?}", case.name));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Clients that send nothing more and go on listening: the server is told, and says its last words.
#[test]
fn a_client_that_closes_its_half_hears_what_it_would_without_the_gateway() {
    let echo = Echo::start();
    let airside = super::start(echo.address());
    let cases = half();
    for case in &cases {
        let direct = converse(echo.address(), &case.pieces, true);
        let through = converse(airside.address(), &case.pieces, true);
        assert!(direct.ended, "{}", case.name);
        assert_eq!(direct, through, "{}", case.name);
    }
    // None of it is a failure of the server, and each tunnel has ended.
    let log = airside.wait_for_access_log(cases.len());
    for line in log {
        assert_eq!((&line["status"], line.get("reason")), (&101.into(), None));
    }
}

fn cases() -> Vec<Case> {
    let groups = [
        sizes(),
        fragments(),
        controls(),
        reserved(),
        text(),
        closes(),
        broken(),
        pieces(),
    ];
    groups.into_iter().flatten().collect()
}

fn case(name: impl Into<String>, frames: &[Frame]) -> Case {
    Case {
        name: name.into(),
        pieces: frames.iter().map(Frame::bytes).collect(),
    }
}

/// With a close at the end, so that the conversation has one.
fn polite(name: impl Into<String>, frames: &[Frame]) -> Case {
    let bye = [frames, &[Frame::close(1000, "")]].concat();
    case(name, &bye)
}

fn sizes() -> Vec<Case> {
    let lengths = [
        0,
        1,
        124,
        125,
        126,
        127,
        1000,
        65_535,
        65_536,
        65_537,
        1 << 20,
        16 << 20,
    ];
    let both = lengths.into_iter().flat_map(|length| {
        let bytes: Vec<u8> = (0..length)
            .map(|index: usize| (index * 7 + index / 251) as u8)
            .collect();
        [
            polite(
                format!("text of {length}"),
                &[Frame::text(&"a".repeat(length))],
            ),
            polite(format!("binary of {length}"), &[Frame::binary(bytes)]),
        ]
    });
    let mut all: Vec<_> = both.collect();
    all.push(polite(
        "above what the server takes",
        &[Frame::binary(vec![0; 18 << 20])],
    ));
    all.push(polite(
        "a hundred messages",
        &vec![Frame::text("again"); 100],
    ));
    all
}

fn fragments() -> Vec<Case> {
    let parts = |first: u8, parts: &[&[u8]]| -> Vec<Frame> {
        let last = parts.len() - 1;
        let each = parts.iter().enumerate().map(|(index, part)| {
            let opcode = if index == 0 { first } else { 0 };
            Frame::new(if index == last { 0x80 | opcode } else { opcode }, *part)
        });
        each.collect()
    };
    let ping = || Frame::new(0x89, "p");
    let mut between = parts(1, &[b"one ", b"two ", b"three"]);
    between.insert(1, ping());
    between.insert(3, ping());
    let many: Vec<&[u8]> = vec![b"x"; 500];
    vec![
        polite("text in two", &parts(1, &[b"he", b"llo"])),
        polite("binary in two", &parts(2, &[b"he", b"llo"])),
        polite("empty parts", &parts(1, &[b"", b"", b""])),
        polite("an empty last part", &parts(1, &[b"he", b""])),
        polite("text in 500", &parts(1, &many)),
        polite("pings between", &between),
        polite("a character cut in two", &parts(1, &[b"\xce", b"\xba"])),
        polite("large parts", &parts(2, &[&[1; 100_000], &[2; 100_000]])),
        case("a continuation of nothing", &[Frame::new(0x80, "x")]),
        case(
            "a beginning of a continuation of nothing",
            &[Frame::new(0, "x")],
        ),
        case(
            "a second beginning",
            &[Frame::new(1, "x"), Frame::text("y")],
        ),
        case(
            "a second beginning of another kind",
            &[Frame::new(1, "x"), Frame::new(0x82, "y")],
        ),
        case(
            "continued after the end",
            &[
                Frame::new(1, "a"),
                Frame::new(0x80, "b"),
                Frame::new(0x80, "c"),
            ],
        ),
        polite("a close within", &[Frame::new(1, "a")]),
    ]
}

fn controls() -> Vec<Case> {
    let mut all = Vec::new();
    for (name, opcode) in [("ping", 9), ("pong", 10)] {
        for length in [0, 1, 125] {
            all.push(polite(
                format!("{name} of {length}"),
                &[Frame::new(0x80 | opcode, vec![b'p'; length])],
            ));
        }
        all.push(case(
            format!("{name} of 126"),
            &[Frame::new(0x80 | opcode, vec![b'p'; 126])],
        ));
        all.push(case(
            format!("{name} in parts"),
            &[Frame::new(opcode, "p"), Frame::new(0x80, "q")],
        ));
    }
    all.push(polite("ten pings", &vec![Frame::new(0x89, "p"); 10]));
    all.push(polite(
        "a ping of bytes",
        &[Frame::new(0x89, [0, 255, 254, 253])],
    ));
    all
}

fn reserved() -> Vec<Case> {
    let bits = [0x40, 0x20, 0x10, 0x70].map(|bits| {
        case(
            format!("reserved bits {bits:x}"),
            &[Frame::text("a"), Frame::new(0x81 | bits, "b")],
        )
    });
    let control = [0x40, 0x20, 0x10].map(|bits| {
        case(
            format!("reserved bits {bits:x} of a ping"),
            &[Frame::new(0x89 | bits, "b")],
        )
    });
    let opcodes = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];
    let opcodes = opcodes.map(|opcode| {
        case(
            format!("opcode {opcode}"),
            &[Frame::new(0x80 | opcode, "b")],
        )
    });
    bits.into_iter().chain(control).chain(opcodes).collect()
}

fn text() -> Vec<Case> {
    let good = [
        "\u{3ba}\u{1f79}\u{3c3}",
        "\u{0}",
        "\u{7ff}\u{800}\u{ffff}",
        "\u{10000}\u{10ffff}",
        "\u{fffe}",
    ];
    let good = good.map(|text| polite(format!("text {text:?}"), &[Frame::text(text)]));
    let bad: [&[u8]; 10] = [
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xce",
        b"a\x80b",
        b"\xe0\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\xf0\x80\x80\x80",
    ];
    let bad = bad.map(|bytes| case(format!("not UTF-8 {bytes:x?}"), &[Frame::new(0x81, bytes)]));
    let parts = case(
        "not UTF-8 in parts",
        &[Frame::new(1, "a"), Frame::new(0x80, [0xff])],
    );
    good.into_iter().chain(bad).chain([parts]).collect()
}

fn closes() -> Vec<Case> {
    let codes = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    let good = codes.map(|code| case(format!("close {code}"), &[Frame::close(code, "why")]));
    let wrong = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ];
    let wrong = wrong.map(|code| case(format!("close {code}"), &[Frame::close(code, "")]));
    let others = [
        case("a close without a code", &[Frame::new(0x88, "")]),
        case("a close of one byte", &[Frame::new(0x88, [3])]),
        case(
            "a close with the longest reason",
            &[Frame::close(1000, &"r".repeat(123))],
        ),
        case(
            "a close that is too long",
            &[Frame::close(1000, &"r".repeat(124))],
        ),
        case(
            "a close with a broken reason",
            &[Frame::new(0x88, b"\x03\xe8\xff".to_vec())],
        ),
        case(
            "two closes",
            &[Frame::close(1000, ""), Frame::close(1001, "")],
        ),
        case(
            "a message after the close",
            &[Frame::close(1000, ""), Frame::text("late")],
        ),
        case(
            "a ping after the close",
            &[Frame::close(1000, ""), Frame::new(0x89, "late")],
        ),
    ];
    good.into_iter().chain(wrong).chain(others).collect()
}

fn broken() -> Vec<Case> {
    let with = |change: fn(&mut Frame)| {
        let mut frame = Frame::text("a");
        change(&mut frame);
        [frame]
    };
    vec![
        case("not masked", &with(|frame| frame.masked = false)),
        polite(
            "a length longer than it need be",
            &with(|frame| frame.long = true),
        ),
        case(
            "a length beyond all bounds",
            &with(|frame| frame.length = Some(1 << 40)),
        ),
        case(
            "a length of 64 bits",
            &with(|frame| frame.length = Some(u64::MAX)),
        ),
    ]
}

/// Frames that arrive in pieces of other sizes than they were made in.
fn pieces() -> Vec<Case> {
    let all = [
        Frame::text("hello"),
        Frame::new(0x89, "p"),
        Frame::binary(vec![9; 300]),
        Frame::close(1000, "x"),
    ];
    let bytes: Vec<u8> = all.iter().flat_map(Frame::bytes).collect();
    let sizes = [1, 2, 3, 7, 100, 1000];
    let cut = sizes.map(|size| Case {
        name: format!("in pieces of {size}"),
        pieces: bytes.chunks(size).map(<[u8]>::to_vec).collect(),
    });
    cut.into()
}

/// What clients have sent when they send nothing more.
fn half() -> Vec<Case> {
    let cut = {
        let mut frame = Frame::text("abc");
        frame.length = Some(10);
        frame
    };
    let many = vec![Frame::binary(vec![5; 10_000]); 100];
    let pings = vec![Frame::new(0x89, "p"); 50];
    let all = [
        ("at once", vec![]),
        ("after a message", vec![Frame::text("hello")]),
        (
            "after two messages",
            vec![Frame::text("one"), Frame::text("two")],
        ),
        ("after an empty message", vec![Frame::text("")]),
        ("after a ping", vec![Frame::new(0x89, "p")]),
        ("after a pong", vec![Frame::new(0x8a, "p")]),
        ("after fifty pings", pings),
        ("after a close", vec![Frame::close(1000, "")]),
        (
            "after a close with a reason",
            vec![Frame::close(4000, "why")],
        ),
        (
            "after a message and a close",
            vec![Frame::text("a"), Frame::close(1001, "")],
        ),
        (
            "after a large message",
            vec![Frame::binary(vec![3; 1 << 20])],
        ),
        ("after 16 MiB", vec![Frame::binary(vec![4; 16 << 20])]),
        ("after a hundred messages", many),
        ("within a frame", vec![cut.clone()]),
        (
            "within a frame after a message",
            vec![Frame::text("a"), cut],
        ),
        ("within a message", vec![Frame::new(1, "a")]),
        (
            "within a message after a ping",
            vec![Frame::new(1, "a"), Frame::new(0x89, "p")],
        ),
        ("after what is not UTF-8", vec![Frame::new(0x81, [0xff])]),
        ("after reserved bits", vec![Frame::new(0xc1, "a")]),
        ("after an unknown opcode", vec![Frame::new(0x83, "a")]),
    ];
    let all = all.map(|(name, frames)| case(format!("half-closed {name}"), &frames));
    all.into()
}
