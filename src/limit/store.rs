//! Redis as limits see it: one script, one key, one answer within the deadline, or none. Whatever goes
//! wrong, no call waits for it again before it is well: that is found out beside them, by `link`.

use std::fmt;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{IntoConnectionInfo, Script};
use rustls::ClientConfig;
use tokio::sync::mpsc;

use link::{Link, Tls};

mod link;

/// A server that gateways share. All calls go over one connection, one behind the other.
pub struct Store {
    line: Arc<Line>,
    timeout: Duration,
    later: mpsc::Sender<Command>,
}

/// Why a store can't be used at all; that it is away is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the address can't be read")]
    Address,
    #[error("`rediss://` needs to know whom to trust")]
    Trust,
    #[error("no thread for it: {0}")]
    Thread(#[from] std::io::Error),
}

/// A script, and what it is to be run with.
pub(super) struct Command {
    pub script: &'static Script,
    pub key: String,
    pub arguments: Vec<i64>,
}

/// The connection, while there is one that answers.
struct Line {
    live: ArcSwapOption<MultiplexedConnection>,
    /// Why it is not any more.
    lost: mpsc::Sender<String>,
}

impl Store {
    /// Begins to keep a connection, on a thread of its own. A server that is away does not fail this: it is
    /// waited for a moment, and then looked for in the background. `probe` is a harmless use of it. `tls` is for
    /// `rediss://`, which the library reads only with a TLS of its own choice.
    pub(super) fn open(
        url: &str,
        timeout: Duration,
        tls: Option<Arc<ClientConfig>>,
        probe: fn() -> Command,
    ) -> Result<Self, OpenError> {
        let secure = url.strip_prefix("rediss://");
        let plain = secure.map(|rest| format!("redis://{rest}"));
        let info = plain.as_deref().unwrap_or(url).into_connection_info();
        let info = info.map_err(|_| OpenError::Address)?;
        let tls = match secure {
            Some(_) => Some(Tls::to(info.addr(), tls.ok_or(OpenError::Trust)?)?),
            None => None,
        };
        let address = info.addr().to_string();
        let client = redis::Client::open(info).map_err(|_| OpenError::Address)?;
        let (later, orders) = mpsc::channel(LATER);
        let (lost, losses) = mpsc::channel(1);
        let line = Arc::new(Line {
            live: ArcSwapOption::empty(),
            lost,
        });
        let timeout = timeout.max(Duration::from_millis(1));
        let link = Link {
            client,
            tls,
            address,
            line: line.clone(),
            timeout,
            probe,
        };
        let (tried, first_try) = std_mpsc::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("airside-redis".to_owned())
            .spawn(move || runtime.block_on(link.keep(orders, losses, tried)))?;
        // The first calls should find it; a start is never held up.
        let _ = first_try.recv_timeout(FIRST_TRY);
        Ok(Self {
            line,
            timeout,
            later,
        })
    }

    /// The script's answer; `None` where there is none in time. Then nobody is asked for a while.
    pub(super) async fn ask(&self, command: &Command) -> Option<Vec<i64>> {
        let live = self.line.live.load_full()?;
        match command.run(&live, self.timeout).await {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.line.lose(&live, why);
                None
            }
        }
    }

    /// Runs it some time soon, off the request's way. Where too much waits already, it is dropped.
    pub(super) fn tell(&self, command: Command) {
        let _ = self.later.try_send(command);
    }
}

impl Command {
    /// Errors: why there is no answer, for the log.
    async fn run(
        &self,
        connection: &MultiplexedConnection,
        timeout: Duration,
    ) -> Result<Vec<i64>, String> {
        let mut connection = connection.clone();
        let mut call = self.script.key(&self.key);
        for argument in &self.arguments {
            call.arg(*argument);
        }
        // By its hash; a server that has forgotten the script is given it again, within the same time.
        let answer = call.invoke_async(&mut connection);
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }
}

impl Line {
    /// The first who notices takes the connection away from all.
    fn lose(&self, live: &Arc<MultiplexedConnection>, why: String) {
        let live = Some(live.clone());
        let before = self.live.compare_and_swap(&live, None);
        if before.as_ref().map(Arc::as_ptr) == live.as_ref().map(Arc::as_ptr) {
            let _ = self.lost.try_send(why);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Store")
    }
}

/// Orders that may wait to be carried out off a request's way.
const LATER: usize = 8_192;
const FIRST_TRY: Duration = Duration::from_millis(500);
