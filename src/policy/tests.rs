//! The pipeline's order, also where a policy waits: a table of its own, with policies that take notes.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::base::net::Client;
use crate::base::reply::Refusal;

/// What the test's policies do, in their order.
#[derive(Debug)]
pub struct Step(&'static str);

impl Policy for Step {
    fn compile(_: &Keys, _: &Names, _: &mut Report) -> Option<Self> {
        None
    }

    fn request(&self, call: &mut Call) -> Verdict {
        note(call, self.0);
        match self.0 {
            "waits" => Verdict::Wait(Box::pin(async {
                yields().await;
                let then: Then = Box::new(|call| {
                    note(call, "waited");
                    Verdict::Continue
                });
                then
            })),
            "waits twice" => Verdict::Wait(Box::pin(async {
                let again: Then = Box::new(|_| {
                    Verdict::Wait(Box::pin(async {
                        let then: Then = Box::new(|call| {
                            note(call, "waited twice");
                            Verdict::refuse(Reply::refuse(Refusal::Forbidden))
                        });
                        then
                    }))
                });
                again
            })),
            "answers" => Verdict::refuse(Reply::refuse(Refusal::Forbidden)),
            _ => Verdict::Continue,
        }
    }
}

use table::Pipeline;

#[expect(dead_code, reason = "only requests go through the test's table")]
mod table {
    use super::*;

    pipeline! {
        first: Step,
        second: Step,
        third: Step,
    }
}

/// The path is the one place of the findings that holds text.
fn note(call: &mut Call, what: &str) {
    let notes = call.findings.path.get_or_insert_default();
    notes.push_str(what);
    notes.push_str(".");
}

/// Comes back once before it is ready.
async fn yields() {
    let mut ready = false;
    std::future::poll_fn(|context| match std::mem::replace(&mut ready, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Runs a request through, and brings the notes, whether it passed, and how often it had to be asked.
fn run(steps: [Option<&'static str>; 3]) -> (String, bool, usize) {
    let [first, second, third] = steps.map(|step| step.map(Step));
    let pipeline = Pipeline {
        first,
        second,
        third,
    };
    let header = RequestHeader::build("GET", b"/", None).unwrap();
    let mut findings = Findings::default();
    let mut call = Call {
        header: &header,
        client: Client {
            address: crate::base::net::UNKNOWN,
            via_trusted_proxy: false,
        },
        path: "/",
        captures: &Captures::default(),
        route: 0,
        now_millis: 0,
        unix_seconds: 0,
        findings: &mut findings,
    };
    let mut asked = 0;
    let passed = match pipeline.request(0, &mut call, &mut Unwatched) {
        Progress::Passed => true,
        Progress::Answered(_) => false,
        Progress::Waiting(number, wait) => {
            let mut watch = Unwatched;
            let mut rest = Box::pin(pipeline.resume(number, wait, &mut call, &mut watch));
            let mut context = Context::from_waker(Waker::noop());
            loop {
                asked += 1;
                if let Poll::Ready(result) = rest.as_mut().poll(&mut context) {
                    break result.is_ok();
                }
            }
        }
    };
    (findings.path.unwrap_or_default().to_string(), passed, asked)
}

#[test]
fn policies_run_in_their_order_until_one_answers() {
    assert_eq!(run([Some("a"), None, Some("b")]), ("a.b.".into(), true, 0));
    assert_eq!(
        run([Some("a"), Some("answers"), Some("b")]),
        ("a.answers.".into(), false, 0)
    );
}

#[test]
fn a_policy_that_waits_is_waited_for_and_those_after_it_run_once() {
    let (notes, passed, asked) = run([Some("a"), Some("waits"), Some("b")]);
    assert_eq!(
        (notes.as_str(), passed, asked),
        ("a.waits.waited.b.", true, 2)
    );
    let (notes, passed, _) = run([Some("waits"), Some("waits"), Some("answers")]);
    assert_eq!(
        (notes.as_str(), passed),
        ("waits.waited.waits.waited.answers.", false)
    );
}

#[test]
fn what_was_waited_for_may_answer_and_ask_again() {
    let (notes, passed, _) = run([Some("a"), Some("waits twice"), Some("b")]);
    assert_eq!(
        (notes.as_str(), passed),
        ("a.waits twice.waited twice.", false)
    );
}
