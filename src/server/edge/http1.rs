//! Connections of HTTP/1: one request after the other, each under its alarm, and none without an entry in the log.

use std::net::IpAddr;
use std::sync::Arc;

use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::time::Instant;

use super::watched::{Speaks, Watched};
use super::{Http, caught, one::One};
use crate::base::reply::Refusal;
use crate::base::timer::Timer;
use crate::proxy::{Line, Unheard};

impl<A: HttpServerApp + Send + Sync + 'static> Http<A> {
    /// Serves a connection, which was `opened` at that time, until it ends.
    pub async fn http1(
        &self,
        stream: Stream,
        peer: IpAddr,
        opened: Instant,
        shutdown: &ShutdownWatch,
    ) {
        let (patience, most) = {
            let plan = self.plan.load();
            let edge = &plan.edge;
            (edge.patience, edge.max_uri + edge.max_headers + SLACK)
        };
        let line = Arc::new(Line::default());
        let speaks = Speaks::Http1(One::new(line.clone(), most, opened));
        let watched = Watched::new(stream, self.crowd.clone(), patience, speaks);
        let mut next: (Stream, Option<HttpPersistentSettings>) = (Box::new(watched), None);
        let mut timer = Timer::new();
        loop {
            let work = self.request(next.0, next.1, &line, shutdown);
            let reused = caught(line.alarm.over(&mut timer, work)).await;
            let word = line.take_word();
            if reused.is_err() {
                self.crowd.panics.add(1);
            }
            let word = word.or_else(|| {
                let panic = || Unheard::new(Some(Refusal::Internal), "panic");
                reused.is_err().then(panic)
            });
            if let Some(word) = word {
                self.ledger.note(&word, peer, "HTTP/1.1");
            }
            let Ok(Some(reused)) = reused else { return };
            next = reused.consume();
        }
    }

    /// The next request of a connection, which has settings by then. Its session stays on the stack until it is in
    /// Pingora's future.
    fn request<'a>(
        &'a self,
        stream: Stream,
        settings: Option<HttpPersistentSettings>,
        line: &Arc<Line>,
        shutdown: &'a ShutdownWatch,
    ) -> impl Future<Output = Option<ReusedHttpStream>> + use<'a, A> {
        let mut session = ServerSession::new_http1(stream);
        match settings {
            Some(settings) => settings.apply_to_session(&mut session),
            // Without a time of Pingora's: ours hold.
            None => session.set_keepalive((!*shutdown.borrow()).then_some(0)),
        }
        line.begin(&mut session);
        self.proxy.process_new_http(session, shutdown)
    }
}

/// Of a head, beside the target and the header lines: method, version, line breaks.
const SLACK: usize = 256;
