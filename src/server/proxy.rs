//! The proxy, with connections of our own to servers. Pingora gives such a one to a service only, which keeps it to
//! itself, and shows it to nobody but the sessions of its listener. So it is had from there: by one connection, before
//! anything else runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, ProxyServiceBuilder};
use pingora::server::Fds;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use crate::proxy::Gateway;
use crate::upstream::{Connector, Shelves};

/// What the edge's connections are given to.
pub type Proxy = HttpProxy<Gateway, Connector>;

/// Makes the proxy. Errors: of the loopback connection that it takes.
pub fn make(
    conf: &Arc<ServerConf>,
    gateway: Gateway,
    shelves: Arc<Shelves>,
) -> io::Result<Arc<Proxy>> {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let mut options = HttpServerOptions::default();
    options.force_custom = true;
    let mut service = ProxyServiceBuilder::new(conf, gateway)
        .custom(
            Connector::new(conf, shelves),
            Arc::new(move |proxy, _, _| {
                let tell = tell.lock().unwrap_or_else(PoisonError::into_inner).take();
                // Nobody else is told, and nobody waits who is not there.
                tell.map(|tell| tell.send(proxy));
                Box::pin(async { None })
            }),
        )
        .server_options(options)
        .build();
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    service.add_tcp(&address.to_string());
    let mut sockets = Fds::new();
    sockets.add(address.to_string(), listener.into_raw_fd());
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (_open, shutdown) = watch::channel(false);
    // What it runs ends with the runtime.
    runtime.block_on(async {
        let sockets = Some(Arc::new(parking_lot::Mutex::new(sockets)));
        tokio::select! {
            () = service.start_service(sockets, shutdown, 1) => Err(io::ErrorKind::BrokenPipe.into()),
            proxy = taken(address, told) => proxy,
        }
    })
}

async fn taken(address: SocketAddr, told: oneshot::Receiver<Arc<Proxy>>) -> io::Result<Arc<Proxy>> {
    let _connection = TcpStream::connect(address).await?;
    told.await.map_err(|_| io::ErrorKind::BrokenPipe.into())
}
