//! The rows that failures are counted in. The writer's transactions come one after another, so that what
//! is read here stays true until it is written.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::identity::throttle::{Attempt, Change, Outcome, Reserved, Rows, Subject, Tally, Ticket};

pub(super) fn reserve(tx: &Transaction, attempt: &Attempt) -> rusqlite::Result<Reserved> {
    let rows = find(tx, &attempt.subjects())?;
    let (reserved, changes) = attempt.judge(&rows);
    write(tx, &changes)?;
    Ok(reserved)
}

pub(super) fn settle(
    tx: &Transaction,
    ticket: &Ticket,
    outcome: Outcome,
    at: u64,
) -> rusqlite::Result<()> {
    let rows = find(tx, &ticket.subjects())?;
    write(tx, &ticket.settle(&rows, outcome, at))
}

pub(super) fn forget(tx: &Transaction, at: u64, most: u32) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM auth_throttle WHERE subject IN
               (SELECT subject FROM auth_throttle WHERE expires_at <= ? LIMIT ?)";
    let gone = tx.prepare_cached(sql)?.execute(params![at, most])?;
    Ok(gone as u64)
}

/// Writes a row that means nothing: is there room?
pub(super) fn probe(tx: &Transaction) -> rusqlite::Result<()> {
    write(tx, &[(Subject::NOBODY, Some(Tally::default()))])
}

fn find(tx: &Transaction, subjects: &[Subject]) -> rusqlite::Result<Rows> {
    let tally = |row: &Row| {
        Ok(Tally {
            failures: row.get("failures")?,
            pending: row.get("pending")?,
            since: row.get("since")?,
            reserved_at: row.get("reserved_at")?,
            expires_at: row.get("expires_at")?,
        })
    };
    let mut select = tx.prepare_cached("SELECT * FROM auth_throttle WHERE subject = ?")?;
    let mut rows = Rows::default();
    for subject in subjects {
        let found = select.query_row([subject.0], tally).optional()?;
        rows.0.extend(found.map(|tally| (*subject, tally)));
    }
    Ok(rows)
}

fn write(tx: &Transaction, changes: &[Change]) -> rusqlite::Result<()> {
    for (subject, tally) in changes {
        match tally {
            Some(tally) => {
                let sql = "REPLACE INTO auth_throttle
                           (subject, failures, pending, since, reserved_at, expires_at)
                           VALUES (?, ?, ?, ?, ?, ?)";
                tx.prepare_cached(sql)?.execute(params![
                    subject.0,
                    tally.failures,
                    tally.pending,
                    tally.since,
                    tally.reserved_at,
                    tally.expires_at,
                ])?;
            }
            None => {
                let sql = "DELETE FROM auth_throttle WHERE subject = ?";
                tx.prepare_cached(sql)?.execute([subject.0])?;
            }
        }
    }
    Ok(())
}
