//! The audit log's rows, each written in the transaction of the change that it tells of.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::failure::Failure;
use crate::identity::store::{Action, AuditEntry, Origin};

/// Notes an action on a subject, a user's id or a role; `detail` is what else belongs to it.
pub(super) async fn note(
    tx: &mut Transaction<'_>,
    origin: &Origin,
    action: Action,
    subject: &str,
    detail: &str,
) -> mysql_async::Result<()> {
    let insert =
        "INSERT INTO audit_log (created_at, actor, action, subject, detail, source, request_id)
                  VALUES (?, ?, ?, ?, ?, ?, ?)";
    let row = (
        origin.at,
        origin.actor.to_string(),
        action.word(),
        subject,
        detail,
        origin.source.addresses.as_str(),
        origin.source.request_id.as_str(),
    );
    tx.exec_drop(insert, row).await
}

/// Newest first.
pub(super) async fn list(
    db: &mut impl Queryable,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditEntry>, Failure> {
    type Columns = (u64, u64, String, String, String, String, String, String);
    let select = "SELECT sequence, created_at, actor, action, subject, detail, source, request_id FROM audit_log
                  WHERE sequence < ? ORDER BY sequence DESC LIMIT ?";
    let newest = i64::MAX as u64;
    let rows: Vec<Row> = db.exec(select, (before.unwrap_or(newest), limit)).await?;
    let entry = |row| {
        let (sequence, at, actor, action, subject, detail, source, request_id) =
            from_row_opt::<Columns>(row)?;
        Ok(AuditEntry {
            sequence,
            at,
            actor,
            action,
            subject,
            detail,
            source,
            request_id,
        })
    };
    rows.into_iter().map(entry).collect()
}
