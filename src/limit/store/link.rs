//! The connection to Redis, kept beside the requests: made, tried before anyone gets it, and made anew
//! once it was lost. It says so in the log once when the server goes away, and once when it is back.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::{Command, Line};

/// Who keeps the connection.
pub(super) struct Link {
    pub client: redis::Client,
    /// Without user and password.
    pub address: String,
    pub line: Arc<Line>,
    pub timeout: Duration,
    pub probe: fn() -> Command,
}

impl Link {
    /// Until nobody can have orders any more. `tried` is told of the first attempt, however it ended.
    pub(super) async fn keep(
        self,
        mut orders: Receiver<Command>,
        mut losses: Receiver<String>,
        tried: SyncSender<()>,
    ) {
        let mut away = false;
        while !orders.is_closed() {
            let why = match self.connect().await {
                Ok(connection) => {
                    let connection = Arc::new(connection);
                    self.line.live.store(Some(connection.clone()));
                    if std::mem::take(&mut away) {
                        log::info!("redis at {}: back, limits count there again", self.address);
                    }
                    let _ = tried.try_send(());
                    match self.serve(&connection, &mut orders, &mut losses).await {
                        Some(why) => why,
                        None => return,
                    }
                }
                Err(why) => why,
            };
            if !std::mem::replace(&mut away, true) {
                log::warn!(
                    "redis at {}: away ({why}); limits go by their `on_store_error`",
                    self.address
                );
            }
            let _ = tried.try_send(());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A connection on which a script was just run, in the time that a call has for it.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let connection = connection.await.map_err(|error| error.to_string())?;
        let probe = (self.probe)();
        // The first run may have to bring the script.
        probe.run(&connection, CONNECT).await?;
        probe.run(&connection, self.timeout).await?;
        Ok(connection)
    }

    /// Carries out what is not waited for, until the connection is lost: why. `None` at the end of all.
    async fn serve(
        &self,
        connection: &Arc<MultiplexedConnection>,
        orders: &mut Receiver<Command>,
        losses: &mut Receiver<String>,
    ) -> Option<String> {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                why = losses.recv() => return why,
                taken = orders.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return None;
                    }
                }
            }
            let mut running = JoinSet::new();
            for command in batch.drain(..) {
                let connection = connection.clone();
                running.spawn(async move { command.run(&connection, CONNECT).await });
            }
            while let Some(done) = running.join_next().await {
                if let Ok(Err(why)) = done {
                    self.line.lose(connection, why);
                }
            }
        }
    }
}

const CONNECT: Duration = Duration::from_secs(1);
/// Between two attempts; as long is nobody asked after a failure, at least.
const PAUSE: Duration = Duration::from_millis(200);
/// Calls that may wait to be written; the next ones wait to wait.
const QUEUE: usize = 1_024;
const BATCH: usize = 128;
