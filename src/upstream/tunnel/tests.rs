//! A tunnel's connection on its own: what is held back, and both halves' ends.

use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::super::gate::FLUSHES;
use super::*;

const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

/// The gateway's side, and the server.
struct Scene {
    tunnel: Tunnel,
    near: DuplexStream,
    server: DuplexStream,
    gate: Arc<Gate>,
}

impl Scene {
    fn new(patience: Duration) -> Self {
        let gate = Arc::new(Gate::new(patience));
        let (near, server) = duplex(1024);
        Self {
            tunnel: Tunnel::new(gate.clone()),
            near,
            server,
            gate,
        }
    }

    async fn begun() -> Self {
        let mut scene = Self::new(Duration::from_secs(60));
        scene.server.write_all(SWITCH).await.unwrap();
        assert_eq!(scene.read().await.unwrap(), SWITCH);
        scene
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = [0; 64];
        let mut buf = ReadBuf::new(&mut bytes);
        poll_fn(|context| self.tunnel.poll_read(&mut self.near, context, &mut buf)).await?;
        Ok(buf.filled().to_vec())
    }

    async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(20), self.read())
            .await
            .is_err()
    }

    async fn write(&mut self, bytes: &[u8]) {
        let written = poll_fn(|context| self.tunnel.poll_write(&mut self.near, context, bytes));
        assert_eq!(written.await.unwrap(), bytes.len());
    }

    async fn finish(&self) {
        poll_fn(|context| {
            self.gate.finish(context);
            Poll::Ready(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_the_server_says_is_held_back_until_the_request_is_out() {
    let mut scene = Scene::new(Duration::from_secs(60));
    scene.server.write_all(b"a").await.unwrap();
    assert_eq!(scene.read().await.unwrap(), b"a");
    scene.gate.close();
    scene.server.write_all(b"b").await.unwrap();
    for _ in 0..FLUSHES {
        assert!(scene.is_silent().await);
        scene.tunnel.flushed();
    }
    assert_eq!(scene.read().await.unwrap(), b"b");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_waited_for_and_a_silent_tunnel_is_not() {
    let mut scene = Scene::new(Duration::from_millis(20));
    scene.gate.close();
    let silent = scene.read().await;
    assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let mut scene = Scene::begun().await;
    scene.gate.close();
    scene.gate.tunnel();
    (0..FLUSHES).for_each(|_| scene.tunnel.flushed());
    let hour = timeout(Duration::from_secs(3600), scene.read());
    assert!(hour.await.is_err());
}

#[tokio::test]
async fn the_clients_end_is_told_behind_its_last_byte_and_the_server_goes_on() {
    let mut scene = Scene::begun().await;
    scene.gate.take(4);
    scene.finish().await;
    assert!(scene.is_silent().await);
    scene.write(b"last").await;
    assert!(scene.is_silent().await);
    let mut read = Vec::new();
    scene.server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last");
    scene.server.write_all(b"x").await.unwrap();
    assert_eq!(scene.read().await.unwrap(), b"x");
    drop(scene.server);
    let (near, server) = duplex(1);
    drop(server);
    scene.near = near;
    scene.server = duplex(1).0;
    assert_eq!(scene.read().await.unwrap(), b"", "both have finished");
}

#[tokio::test]
async fn the_servers_end_is_told_behind_its_last_byte_and_the_client_goes_on() {
    let mut scene = Scene::begun().await;
    scene.server.write_all(b"bye").await.unwrap();
    scene.server.shutdown().await.unwrap();
    assert_eq!(scene.read().await.unwrap(), b"bye");
    assert!(!scene.gate.has_said_all(3), "it is not known yet");
    assert!(scene.is_silent().await);
    assert!(!scene.gate.has_said_all(2) && scene.gate.has_said_all(3));
    scene.gate.take(4);
    scene.write(b"more").await;
    let mut more = [0; 4];
    scene.server.read_exact(&mut more).await.unwrap();
    assert_eq!(&more, b"more");
    assert!(scene.is_silent().await);
    scene.finish().await;
    assert_eq!(scene.read().await.unwrap(), b"", "both have finished");
    assert_eq!(
        scene.server.read(&mut more).await.unwrap(),
        0,
        "and the server knows"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_after_the_others_end_is_not_waited_for_for_long() {
    for of_client in [true, false] {
        let mut scene = Scene::begun().await;
        match of_client {
            true => scene.finish().await,
            false => scene.server.shutdown().await.unwrap(),
        }
        let begun = Instant::now();
        assert_eq!(scene.read().await.unwrap(), b"");
        assert_eq!(
            begun.elapsed().as_secs(),
            LAST_WORDS.as_secs(),
            "{of_client}"
        );
    }
}
