//! The rows that failures are counted in, kept by their locks while they are judged.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::failure::Failure;
use crate::identity::throttle::{Attempt, Change, Outcome, Reserved, Rows, Subject, Tally, Ticket};

pub(super) async fn reserve(
    tx: &mut Transaction<'_>,
    attempt: &Attempt,
) -> Result<Reserved, Failure> {
    let subjects = attempt.subjects();
    let mut rows = lock(tx, &subjects).await?;
    // A row that is not there can't be kept: of two who find none, both would be the first.
    let missing: Vec<_> = subjects
        .iter()
        .filter(|subject| attempt.is_made_by_attempts(**subject) && !rows.has(**subject))
        .collect();
    if !missing.is_empty() {
        for subject in missing {
            let insert = "INSERT INTO auth_throttle
                          (subject, failures, pending, since, reserved_at, expires_at)
                          VALUES (?, 0, 0, 0, 0, ?) ON DUPLICATE KEY UPDATE pending = pending";
            tx.exec_drop(insert, (subject.0, attempt.at)).await?;
        }
        rows = lock(tx, &subjects).await?;
    }
    let (reserved, changes) = attempt.judge(&rows);
    write(tx, &changes).await?;
    Ok(reserved)
}

pub(super) async fn settle(
    tx: &mut Transaction<'_>,
    ticket: &Ticket,
    outcome: Outcome,
    at: u64,
) -> Result<(), Failure> {
    let rows = lock(tx, &ticket.subjects()).await?;
    write(tx, &ticket.settle(&rows, outcome, at)).await
}

pub(super) async fn forget(tx: &mut Transaction<'_>, at: u64, most: u32) -> Result<u64, Failure> {
    let delete = "DELETE FROM auth_throttle WHERE expires_at <= ? ORDER BY expires_at LIMIT ?";
    tx.exec_drop(delete, (at, most)).await?;
    Ok(tx.affected_rows())
}

/// Writes a row that means nothing: is there room?
pub(super) async fn probe(tx: &mut Transaction<'_>) -> Result<(), Failure> {
    write(tx, &[(Subject::NOBODY, None)]).await?;
    write(tx, &[(Subject::NOBODY, Some(Tally::default()))]).await
}

/// One by one, so that all take them in the same order.
async fn lock(tx: &mut Transaction<'_>, subjects: &[Subject]) -> Result<Rows, Failure> {
    let select = "SELECT failures, pending, since, reserved_at, expires_at FROM auth_throttle
                  WHERE subject = ? FOR UPDATE";
    let mut rows = Rows::default();
    for subject in subjects {
        if let Some(row) = tx.exec_first::<Row, _, _>(select, (subject.0,)).await? {
            let (failures, pending, since, reserved_at, expires_at) = from_row_opt(row)?;
            let tally = Tally {
                failures,
                pending,
                since,
                reserved_at,
                expires_at,
            };
            rows.0.push((*subject, tally));
        }
    }
    Ok(rows)
}

async fn write(tx: &mut Transaction<'_>, changes: &[Change]) -> Result<(), Failure> {
    for (subject, tally) in changes {
        match tally {
            Some(tally) => {
                let upsert = "INSERT INTO auth_throttle
                     (subject, failures, pending, since, reserved_at, expires_at)
                     VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE failures = VALUES(failures),
                     pending = VALUES(pending), since = VALUES(since),
                     reserved_at = VALUES(reserved_at), expires_at = VALUES(expires_at)";
                let row = (
                    subject.0,
                    tally.failures,
                    tally.pending,
                    tally.since,
                    tally.reserved_at,
                    tally.expires_at,
                );
                tx.exec_drop(upsert, row).await?;
            }
            None => {
                let delete = "DELETE FROM auth_throttle WHERE subject = ?";
                tx.exec_drop(delete, (subject.0,)).await?;
            }
        }
    }
    Ok(())
}
