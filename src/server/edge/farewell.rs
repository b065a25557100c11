//! The end of a connection whose client may still be sending: closing it with bytes unread would reset it, and the
//! answer would be lost with them (RFC 9112 §9.6).

use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Sends `last`, says that nothing follows, and reads on for a moment. The connection keeps its place until then.
pub fn say(connection: Stream, last: Option<Vec<u8>>) {
    // Without a runtime the process is ending, and so do all connections.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            // Whoever is gone misses nothing.
            let _ = timeout(LONGEST, end(connection, last)).await;
        });
    }
}

/// The same for a connection without a place, for a shorter time, and done when that is over.
pub async fn refuse(connection: Stream, last: Vec<u8>) {
    let _ = timeout(SHORT, end(connection, Some(last))).await;
}

async fn end(mut connection: Stream, last: Option<Vec<u8>>) -> std::io::Result<()> {
    if let Some(last) = last {
        connection.write_all(&last).await?;
    }
    connection.flush().await?;
    AsyncWriteExt::shutdown(&mut connection).await?;
    let mut unread = [0; 4 << 10];
    let mut bytes = 0;
    while bytes < MOST {
        match connection.read(&mut unread).await? {
            0 => break,
            read => bytes += read,
        }
    }
    Ok(())
}

const LONGEST: Duration = Duration::from_secs(2);
/// Of those who are let in to be told that there is no room, there are few at a time.
const SHORT: Duration = Duration::from_millis(500);
const MOST: usize = 1 << 20;
