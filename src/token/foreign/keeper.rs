//! Keeps other issuers' keys current, on a thread of its own: no request ever waits for an issuer. What
//! was had last stays in use for as long as nothing better can be had.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

use super::ForeignVerifier;
use super::fetch::{Client, MAX_BYTES};
use crate::token::issuer::config::{self, JwksUrl};
use crate::token::jwks::{JwkSet, LeftOut};

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum Source {
    Url(JwksUrl),
    File(PathBuf),
}

impl Source {
    /// `None` where the configuration names none; relative paths are relative to `folder`.
    pub fn of(config: &config::Issuer, folder: &Path) -> Option<Self> {
        let url = config.jwks.as_ref().map(|url| Self::Url(url.value.clone()));
        let file = config.keys.as_ref();
        url.or_else(|| file.map(|file| Self::File(folder.join(&file.value))))
    }
}

/// An issuer, and where its keys come from.
pub type Kept = (Arc<ForeignVerifier>, Source);

/// Keeps issuers' keys current, each for as long as it is wanted.
#[derive(Debug, Default)]
pub struct Keeper {
    orders: Mutex<Option<UnboundedSender<Order>>>,
}

/// What the keeper's thread is told.
#[derive(Debug)]
enum Order {
    /// The sender is dropped after the first attempt.
    Begin(Arc<ForeignVerifier>, Source, Sender<()>),
    /// All others are let go.
    Only(Vec<Arc<ForeignVerifier>>),
}

impl Keeper {
    /// Starts to keep those that are not kept yet, and waits a moment for their first keys: a gateway that
    /// says that it is ready should be, and a new configuration should know whose tokens it takes.
    pub fn begin(&self, issuers: &[Kept]) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if issuers.is_empty() {
            return;
        }
        if orders.is_none() {
            *orders = start();
        }
        let (first_round, done) = mpsc::channel();
        for (issuer, source) in issuers {
            let order = Order::Begin(issuer.clone(), source.clone(), first_round.clone());
            // Where there is no thread, the log says so.
            orders.as_ref().map(|orders| orders.send(order).ok());
        }
        drop(first_round);
        // Ended by the last issuer's first attempt, which drops the sender.
        let _ = done.recv_timeout(FIRST_ROUND);
    }

    /// Lets go those that are not among these.
    pub fn only(&self, issuers: &[Kept]) {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let issuers = issuers.iter().map(|(issuer, _)| issuer.clone()).collect();
        orders
            .as_ref()
            .map(|orders| orders.send(Order::Only(issuers)).ok());
    }
}

fn start() -> Option<UnboundedSender<Order>> {
    let (orders, received) = unbounded_channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match (runtime, Client::new()) {
            (Ok(runtime), Ok(client)) => {
                LocalSet::new().block_on(&runtime, keep_all(client, received));
            }
            (Err(error), _) => log::error!("other issuers' keys can't be kept current: {error}"),
            (_, Err(error)) => log::error!("other issuers' keys can't be kept current: {error}"),
        }
    };
    let thread = std::thread::Builder::new().name("airside-issuers".to_owned());
    let started = thread.spawn(work);
    started
        .inspect_err(|error| log::error!("other issuers' keys can't be kept current: {error}"))
        .ok()
        .map(|_| orders)
}

async fn keep_all(client: Client, mut orders: UnboundedReceiver<Order>) {
    let mut kept: Vec<(Arc<ForeignVerifier>, AbortHandle)> = Vec::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Begin(issuer, source, first) => {
                if !kept.iter().any(|(known, _)| Arc::ptr_eq(known, &issuer)) {
                    let task = keep(issuer.clone(), source, client.clone(), first);
                    kept.push((issuer, spawn_local(task).abort_handle()));
                }
            }
            Order::Only(issuers) => kept.retain(|(known, task)| {
                let stays = issuers.iter().any(|issuer| Arc::ptr_eq(known, issuer));
                if !stays {
                    task.abort();
                }
                stays
            }),
        }
    }
}

async fn keep(issuer: Arc<ForeignVerifier>, source: Source, client: Client, first: Sender<()>) {
    match source {
        Source::Url(url) => {
            let fetch = async || client.fetch(&url).await.map_err(|why| why.to_string());
            follow(&issuer, fetch, first).await;
        }
        Source::File(path) => watch(&issuer, &path, first).await,
    }
}

/// Fetches again and again: soon while there are no keys, now and then when there are, and when a token
/// bears an unknown `kid`.
pub(super) async fn follow<B: AsRef<[u8]>>(
    issuer: &ForeignVerifier,
    fetch: impl AsyncFn() -> Result<B, String>,
    first: Sender<()>,
) {
    let mut first = Some(first);
    let mut failures = 0;
    // When a stranger may next be the cause of a fetch.
    let mut wish_from = Instant::now();
    loop {
        issuer.keys.begin();
        let fetched = fetch().await;
        match fetched.and_then(|document| take(issuer, document.as_ref())) {
            Ok(()) => failures = 0,
            Err(why) => {
                failures += 1;
                complain(issuer, why);
            }
        }
        drop(first.take());
        let pause = match failures {
            0 => EVERY,
            _ if issuer.has_keys() => RETRY,
            _ => RETRY.min(Duration::from_secs(1 << failures.min(5) >> 1)),
        };
        let wished = async {
            sleep_until(wish_from).await;
            issuer.keys.wake.notified().await;
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = wished => wish_from = Instant::now() + RETRY,
        }
    }
}

/// Reads the file whenever it is another one than before.
async fn watch(issuer: &ForeignVerifier, path: &Path, first: Sender<()>) {
    let mut first = Some(first);
    let mut seen = None;
    loop {
        let found = state(path).await;
        if found != seen || !issuer.has_keys() {
            seen = found;
            let read = read(path).await;
            if let Err(why) = read.and_then(|document| take(issuer, &document)) {
                complain(issuer, format!("{}: {why}", path.display()));
            }
        }
        drop(first.take());
        sleep(LOOK).await;
    }
}

/// Makes keys of a document and publishes them.
fn take(issuer: &ForeignVerifier, document: &[u8]) -> Result<(), String> {
    let (keys, left_out) =
        JwkSet::read(document, issuer.algorithms()).map_err(|why| why.to_string())?;
    let count = keys.len();
    let (name, recovered) = (issuer.name(), issuer.keys.succeeded());
    if issuer.publish(keys) {
        let left_out: Vec<_> = left_out.iter().map(LeftOut::to_string).collect();
        match left_out.is_empty() {
            true => log::info!("issuer {name}: {count} keys"),
            false => log::info!(
                "issuer {name}: {count} keys; left out: {}",
                left_out.join("; ")
            ),
        }
    } else if recovered {
        log::info!("issuer {name}: its keys can be had again, and are the same");
    }
    Ok(())
}

/// The same trouble is told once.
fn complain(issuer: &ForeignVerifier, why: String) {
    let name = issuer.name();
    let meanwhile = match issuer.has_keys() {
        true => "the last ones stay in use",
        false => "its tokens are answered 503 until then",
    };
    if let Some(why) = issuer.keys.failed(why) {
        log::warn!("issuer {name}: no new keys: {why}; {meanwhile}");
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| error.to_string())?;
    let mut document = Vec::new();
    let mut file = file.take(MAX_BYTES as u64 + 1);
    let length = file.read_to_end(&mut document).await;
    match length.map_err(|error| error.to_string())? {
        0..=MAX_BYTES => Ok(document),
        _ => Err(format!("it has more than {MAX_BYTES} bytes")),
    }
}

/// What changes when a file is written or replaced.
async fn state(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = tokio::fs::metadata(path).await.ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}

/// How soon a key that is no longer published is no longer taken.
pub(super) const EVERY: Duration = Duration::from_secs(300);
/// Between attempts, and between fetches that unknown keys cause.
pub(super) const RETRY: Duration = Duration::from_secs(30);
/// Between looks at a file.
const LOOK: Duration = Duration::from_secs(1);
/// An issuer that does not answer by then is waited for beside the traffic.
const FIRST_ROUND: Duration = Duration::from_secs(2);
