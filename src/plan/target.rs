//! What a route does with a request that passed its policies.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::base::reply::Reply;
use crate::base::template::{Captures, Template};
use crate::upstream::Cluster;

#[derive(Debug)]
pub enum Target {
    Forward(Forward),
    Redirect(Redirect),
    Respond(Respond),
}

/// One upstream, or several with weights.
#[derive(Debug)]
pub struct Forward {
    /// Each with the sum of the weights up to and with it.
    clusters: Vec<(Arc<Cluster>, u32)>,
}

#[derive(Debug)]
pub struct Redirect {
    pub status: StatusCode,
    pub to: Template,
}

#[derive(Debug)]
pub struct Respond {
    pub status: StatusCode,
    pub content_type: HeaderValue,
    pub body: Bytes,
}

impl Forward {
    pub fn new(weighted: impl IntoIterator<Item = (Arc<Cluster>, u32)>) -> Self {
        let mut sum = 0;
        let clusters = weighted.into_iter().map(|(cluster, weight)| {
            sum += weight;
            (cluster, sum)
        });
        Self {
            clusters: clusters.collect(),
        }
    }

    /// The upstream for one caller: the same as long as the weights are the same. `caller` hashes who
    /// calls, the user or else the address; it is asked only where there is a choice.
    pub fn cluster(&self, caller: impl FnOnce() -> u64) -> Option<&Arc<Cluster>> {
        if let [(only, _)] = self.clusters.as_slice() {
            return Some(only);
        }
        let total = u64::from(self.clusters.last()?.1);
        let ticket = caller() % total;
        let chosen = self
            .clusters
            .iter()
            .find(|(_, sum)| ticket < u64::from(*sum));
        chosen.map(|(cluster, _)| cluster)
    }

    /// The upstreams' names, for tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.clusters.iter().map(|(cluster, _)| &*cluster.name)
    }
}

impl Redirect {
    /// The query goes along, as it does with `rewrite`.
    pub fn reply(&self, path: &str, captures: &Captures, query: Option<&str>) -> Reply {
        let mut location = self.to.expand(path, captures);
        if let Some(query) = query.filter(|_| !location.contains('?')) {
            location.push_str("?");
            location.push_str(query);
        }
        let reply = Reply::with(self.status, Bytes::new());
        match HeaderValue::from_bytes(location.as_bytes()) {
            Ok(location) => reply.header(header::LOCATION, location),
            // A query may hold bytes that a header must not.
            Err(_) => Reply::refuse(crate::base::reply::Refusal::BadRequest).reason("query"),
        }
    }
}

impl Respond {
    pub fn reply(&self) -> Reply {
        let reply = Reply::with(self.status, self.body.clone());
        match self.body.is_empty() {
            true => reply,
            false => reply.header(header::CONTENT_TYPE, self.content_type.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::settings::Settings;

    #[test]
    fn weights_divide_callers_and_each_stays_where_it_is() {
        let address = "127.0.0.1:1".parse().unwrap();
        let cluster = |name| Arc::new(Cluster::new(name, 0, Settings::single(address), None));
        let forward = Forward::new([(cluster("a"), 95), (cluster("none"), 0), (cluster("b"), 5)]);
        let name = |caller: u64| forward.cluster(|| caller).unwrap().name.to_string();
        let to_b = (0..10_000).filter(|caller| name(*caller) == "b").count();
        assert_eq!(to_b, 500);
        assert!((0..10_000).all(|caller| name(caller) != "none"));
        assert_eq!(name(4_711), name(4_711));
    }
}
