//! A proxy of Pingora's and nothing more, to measure beside: `bare PORT UPSTREAM_PORT`.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::prelude::{
    Error, HttpPeer, InternalError, ProxyHttp, Result, Server, Session, http_proxy_service,
};
use pingora::server::configuration::ServerConf;

struct Bare(SocketAddr);

/// Airside's, so that allocators are not what is compared.
#[global_allocator]
static ALLOCATOR: airside_allocator::Allocator = airside_allocator::Allocator;

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
        return Error::e_explain(InternalError, "usage: bare PORT UPSTREAM_PORT");
    };
    // It ends when it is told to, not five minutes later.
    let configuration = ServerConf {
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
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
