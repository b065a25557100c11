//! The page behind `/metrics`: each part of the process writes what it has counted.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::reload::Reload;
use crate::identity::Identity;
use crate::plan::Plan;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::{Kind, Page, write_process, write_routes};

/// All that is counted.
pub struct Metrics {
    pub plan: Arc<ArcSwap<Plan>>,
    pub reload: Arc<Reload>,
    pub access_log: Arc<AccessLog>,
    pub identity: Option<Identity>,
}

impl Metrics {
    /// The page as it is now.
    pub fn text(&self) -> Vec<u8> {
        let mut page = Page::default();
        let plan = self.plan.load();
        write_routes(&mut page, plan.meters());
        self.reload.write(&mut page);
        if let Some(identity) = &self.identity {
            identity.write_metrics(&mut page);
        }
        let name = "airside_access_log_dropped_total";
        let help = "Lines of the access log that were dropped because its queue was full.";
        page.family(name, Kind::Counter, help);
        page.sample(name, &[], self.access_log.dropped());
        write_process(&mut page);
        page.into_text()
    }
}
