//! The gateway as Pingora's listeners see it: each request runs under its alarm.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;

use super::alarm::Alarm;
use super::gateway::Gateway;

pub struct Edge(Arc<HttpProxy<Gateway>>);

impl Edge {
    pub fn new(gateway: Gateway, conf: &Arc<ServerConf>) -> Self {
        let mut proxy = HttpProxy::new(gateway, conf.clone());
        proxy.handle_init_modules();
        Self(Arc::new(proxy))
    }
}

#[async_trait]
impl HttpServerApp for Edge {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        Alarm::guard(self.0.process_new_http(session, shutdown)).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.0.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.0.server_options()
    }

    async fn http_cleanup(&self) {
        self.0.http_cleanup().await;
    }
}
