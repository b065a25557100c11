//! A time as the API shows it (RFC 3339, UTC).

use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(super) struct Time(String);

impl Time {
    pub(super) fn of(unix_millis: u64) -> Self {
        let millis = i64::try_from(unix_millis).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        Self(time.to_string())
    }
}
