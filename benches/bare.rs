//! A proxy of Pingora's and nothing more, to measure beside: `bare PORT UPSTREAM_PORT`. Without ports, as `cargo bench`
//! calls it, it does nothing.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Server, Session, http_proxy_service};

struct Bare(SocketAddr);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

fn main() -> Result<()> {
    let ports: Vec<u16> = std::env::args()
        .skip(1)
        .filter_map(|port| port.parse().ok())
        .collect();
    let [own, upstream] = ports[..] else {
        return Ok(());
    };
    let mut server = Server::new(None)?;
    server.bootstrap();
    let bare = Bare(([127, 0, 0, 1], upstream).into());
    let mut service = http_proxy_service(&server.configuration, bare);
    service.add_tcp(&format!("127.0.0.1:{own}"));
    service.threads = std::thread::available_parallelism()
        .ok()
        .map(|cores| cores.get());
    server.add_service(service);
    server.run_forever()
}
