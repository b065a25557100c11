//! The schema's steps, compiled in, each one statement.
//!
//! A transaction does not hold back a change of the schema: the server commits it at once. What can be
//! cut short is therefore the note that a step was done. So each step is noted as begun before and as
//! done after. A step that failed is a note less; a note that stayed "begun" is from a process that
//! died or lost its connection, and its step is run again: that it was done already is then no error.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, from_row_opt};
use refinery::Migration;

use super::failure::has_code;
use super::prepare::{PrepareError, within};

/// Applies the steps that are missing and gives their names. The caller keeps others out.
pub(super) async fn run(
    conn: &mut Conn,
    quick: Duration,
    unix_millis: u64,
) -> Result<Vec<String>, PrepareError> {
    let runner = steps::migrations::runner();
    let mut known = runner.get_migrations().clone();
    known.sort();
    let noted = within(quick, notes(conn)).await?;
    let mut applied = Vec::new();
    for note in &noted {
        check(note, &known)?;
    }
    for step in &known {
        let note = noted.iter().find(|note| note.version == step.version());
        if note.is_some_and(|note| note.done) {
            continue;
        }
        if note.is_none() {
            within(quick, begin(conn, step, unix_millis)).await?;
        }
        let again = note.is_some();
        apply(conn, step, again, quick).await?;
        within(quick, end(conn, step, unix_millis)).await?;
        applied.push(step.to_string());
    }
    Ok(applied)
}

/// A step that some process began.
struct Note {
    version: i32,
    name: String,
    checksum: u64,
    done: bool,
}

/// Stops at a step that this version does not have, or has otherwise.
fn check(note: &Note, known: &[Migration]) -> Result<(), PrepareError> {
    let shown = format!("V{}__{}", note.version, note.name);
    match known.iter().find(|step| step.version() == note.version) {
        None => Err(PrepareError::UnknownStep(shown)),
        Some(step) if step.name() != note.name || step.checksum() != note.checksum => {
            Err(PrepareError::ChangedStep(shown))
        }
        Some(_) => Ok(()),
    }
}

async fn notes(conn: &mut Conn) -> Result<Vec<Note>, PrepareError> {
    let select = "SELECT version, name, checksum, done_at FROM schema_steps ORDER BY version";
    let rows: Vec<Row> = match conn.query(select).await {
        // Only then is something written: a server that only reads will do where nothing is missing.
        Err(error) if has_code(&error, &[NO_SUCH_TABLE]) => {
            conn.query_drop(NOTES).await?;
            Vec::new()
        }
        rows => rows?,
    };
    let note = |row| {
        let (version, name, checksum, done_at): (_, _, _, Option<u64>) =
            from_row_opt(row).map_err(|_| PrepareError::UnknownStep("schema_steps".to_owned()))?;
        let done = done_at.is_some();
        Ok(Note {
            version,
            name,
            checksum,
            done,
        })
    };
    rows.into_iter().map(note).collect()
}

async fn begin(conn: &mut Conn, step: &Migration, unix_millis: u64) -> Result<(), PrepareError> {
    let insert = "INSERT INTO schema_steps (version, name, checksum, begun_at) VALUES (?, ?, ?, ?)";
    let row = (step.version(), step.name(), step.checksum(), unix_millis);
    Ok(conn.exec_drop(insert, row).await?)
}

async fn end(conn: &mut Conn, step: &Migration, unix_millis: u64) -> Result<(), PrepareError> {
    let update = "UPDATE schema_steps SET done_at = ? WHERE version = ?";
    Ok(conn
        .exec_drop(update, (unix_millis, step.version()))
        .await?)
}

async fn apply(
    conn: &mut Conn,
    step: &Migration,
    again: bool,
    quick: Duration,
) -> Result<(), PrepareError> {
    let statement = step.sql().unwrap_or_default();
    let change = async { Ok(conn.query_drop(statement).await?) };
    match within(STEP, change).await {
        Err(PrepareError::Server(error)) if has_code(&error, &SO_ALREADY) && again => Ok(()),
        Err(PrepareError::Server(error)) if !error.is_fatal() => {
            // The server has answered, so that nothing was done: its changes of a schema are whole.
            let delete = "DELETE FROM schema_steps WHERE version = ?";
            let forget = async { Ok(conn.exec_drop(delete, (step.version(),)).await?) };
            within(quick, forget).await?;
            let step = step.to_string();
            Err(match has_code(&error, &SO_ALREADY) {
                true => PrepareError::NotOurs(step, error),
                false => PrepareError::Step(step, error),
            })
        }
        done => done,
    }
}

const NOTES: &str = "
    CREATE TABLE IF NOT EXISTS schema_steps (
        version  INT             NOT NULL PRIMARY KEY,
        name     VARCHAR(255)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        checksum BIGINT UNSIGNED NOT NULL,
        begun_at BIGINT          NOT NULL,
        done_at  BIGINT
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4";

const NO_SUCH_TABLE: u16 = 1146;
/// The table, the column, the key, the foreign key is there, or what was to be dropped is not.
const SO_ALREADY: [u16; 6] = [1050, 1060, 1061, 1826, 1051, 1091];
/// A step may rebuild a large table.
const STEP: Duration = Duration::from_secs(3_600);

mod steps {
    refinery::embed_migrations!("migrations/mysql");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_25_a_step_is_one_statement() {
        for step in steps::migrations::runner().get_migrations() {
            let lines = step.sql().unwrap_or_default().lines();
            let code: String = lines.filter(|line| !line.starts_with("--")).collect();
            let statement = code.trim_end().trim_end_matches(';');
            assert!(!statement.contains(';'), "{step}");
        }
    }
}
