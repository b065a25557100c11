//! The connection to Redis, kept beside the requests: made, tried before anyone gets it, and made anew
//! once it was lost. It says so in the log once when the server goes away, and once when it is back.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{Command, Line, OpenError};

/// Who keeps the connection.
pub(super) struct Link {
    pub client: redis::Client,
    pub tls: Option<Tls>,
    /// Without user and password.
    pub address: String,
    pub line: Arc<Line>,
    pub timeout: Duration,
    pub probe: fn() -> Command,
}

/// TLS to one server, whose certificate must bear its name.
pub(super) struct Tls {
    connector: TlsConnector,
    host: String,
    port: u16,
    name: ServerName<'static>,
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
        let client = &self.client;
        let connection = match &self.tls {
            None => client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map_err(|error| error.to_string())?,
            Some(tls) => tokio::time::timeout(CONNECT, tls.connect(client, config))
                .await
                .map_err(|_| format!("no connection within {CONNECT:?}"))??,
        };
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

impl Tls {
    pub(super) fn to(
        address: &ConnectionAddr,
        config: Arc<ClientConfig>,
    ) -> Result<Self, OpenError> {
        let ConnectionAddr::Tcp(host, port) = address else {
            return Err(OpenError::Address);
        };
        let name = ServerName::try_from(host.clone()).map_err(|_| OpenError::Address)?;
        Ok(Self {
            connector: config.into(),
            host: host.clone(),
            port: *port,
            name,
        })
    }

    /// Errors: why there is no connection, for the log.
    async fn connect(
        &self,
        client: &redis::Client,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        // Calls are short, and each waits for its answer.
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let stream = self.connector.connect(self.name.clone(), stream).await;
        let stream = stream.map_err(|error| format!("TLS: {error}"))?;
        let settings = client.get_connection_info().redis_settings();
        let connection = MultiplexedConnection::new_with_config(settings, stream, config).await;
        let (connection, driver) = connection.map_err(|error| error.to_string())?;
        // It ends with the last that holds the connection.
        tokio::spawn(driver);
        Ok(connection)
    }
}

const CONNECT: Duration = Duration::from_secs(1);
/// Between two attempts; as long is nobody asked after a failure, at least.
const PAUSE: Duration = Duration::from_millis(200);
/// Calls that may wait to be written; the next ones wait to wait.
const QUEUE: usize = 1_024;
const BATCH: usize = 128;
