//! Opens the server in which gateways count together.

use std::path::Path;

use super::start::StartError;
use crate::config::Redis;
use crate::limit::Store;
use crate::tls::trust;

/// Begins to use it; `folder` is what relative paths are relative to. That it is away is no error.
pub fn open(redis: &Redis, folder: &Path) -> Result<Store, StartError> {
    let tls = redis.url.asks_for_tls().then(|| {
        let ca = redis.ca.as_ref().map(|ca| folder.join(&ca.value));
        trust::verifying(ca.as_deref()).map_err(StartError::RedisCa)
    });
    let url = redis.url.0.reveal();
    Ok(Store::start(url, redis.timeout, tls.transpose()?)?)
}
