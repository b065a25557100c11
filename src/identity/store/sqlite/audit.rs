//! The audit log's rows, each written in the transaction of the change that it tells of.

use rusqlite::{Connection, Transaction, params};

use crate::identity::store::{Action, AuditEntry, Origin};

/// Notes an action on a subject, a user's id or a role; `detail` is what else belongs to it.
pub(super) fn note(
    tx: &Transaction,
    origin: &Origin,
    action: Action,
    subject: &str,
    detail: &str,
) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO audit_log (created_at, actor, action, subject, detail, source, request_id)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        origin.at,
        origin.actor.to_string(),
        action.word(),
        subject,
        detail,
        origin.source.addresses,
        origin.source.request_id,
    ])?;
    Ok(())
}

/// Newest first.
pub(super) fn list(
    db: &Connection,
    before: Option<u64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut select = db.prepare_cached(
        "SELECT * FROM audit_log WHERE sequence < ? ORDER BY sequence DESC LIMIT ?",
    )?;
    let newest = i64::MAX as u64;
    let rows = select.query_map(params![before.unwrap_or(newest), limit], |row| {
        Ok(AuditEntry {
            sequence: row.get("sequence")?,
            at: row.get("created_at")?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            subject: row.get("subject")?,
            detail: row.get("detail")?,
            source: row.get("source")?,
            request_id: row.get("request_id")?,
        })
    })?;
    rows.collect()
}
