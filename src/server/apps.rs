//! The listeners of our own handlers: identity and admin, and what makes the gateway ready.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};

use super::metrics::Metrics;
use super::{Assembly, upkeep};
use crate::admin::{self, Parts, Readiness};

impl Assembly {
    /// Identity and admin, where they are configured, and what makes the gateway ready.
    pub(super) fn add_own_apps(&mut self) {
        let mut readiness = Readiness::default();
        let traffic = self.traffic.clone();
        readiness.add(
            "gateway",
            Arc::new(move || {
                let leaving = traffic.is_draining();
                Box::pin(async move {
                    if leaving {
                        Err("leaving".to_owned())
                    } else {
                        Ok(())
                    }
                })
            }),
        );
        let plan = self.plan.clone();
        readiness.add_several(Arc::new(move || {
            let plan = plan.load();
            let issuers = plan.issuers.iter();
            let missing = issuers.filter_map(|(issuer, _)| {
                let why = issuer.ready().err()?;
                Some((format!("issuers.{}", issuer.name()), why))
            });
            missing.collect()
        }));
        self.keeper.begin(&self.plan.load().issuers);
        readiness.add("upstreams", upkeep::readiness(self.upstreams.clone()));
        if let (Some(identity), Some(config)) = (&self.identity, self.config.identity.given()) {
            let (address, router) = (config.listen.value, identity.router(self.proxies.clone()));
            let checked = identity.clone();
            readiness.add(
                "identity",
                Arc::new(move || {
                    let identity = checked.clone();
                    Box::pin(async move { identity.ready().await })
                }),
            );
            identity.start_upkeep();
            // Not every request comes through the edge.
            let traffic = self.traffic.clone();
            let counted = from_fn(move |request: Request, next: Next| {
                let in_flight = traffic.enter();
                async move {
                    let response = next.run(request).await;
                    drop(in_flight);
                    response
                }
            });
            self.add("identity", address, router.layer(counted));
        }
        if let Some(config) = self.config.admin.given() {
            let metrics = Metrics {
                plan: self.plan.clone(),
                reload: self.reload.clone(),
                access_log: self.access_log.clone(),
                identity: self.identity.clone(),
                clock: self.clock.clone(),
                crowd: self.crowd.clone(),
            };
            let token = config.token.as_ref().map(|token| token.value.0.clone());
            let router = admin::router(Parts {
                readiness,
                plan: self.plan.clone(),
                clock: self.clock.clone(),
                reloads: self.reload.clone(),
                denials: self.denials.clone(),
                metrics: Arc::new(move || metrics.text()),
                token,
            });
            let address = config.listen.value;
            self.add("admin", address, router);
        }
    }
}
