//! The schema's steps, compiled in. A step that was applied and has changed since stops the start.

use rusqlite::Connection;

/// Applies the steps that are missing and gives their names. The caller keeps other processes out: each step is a
/// transaction, but which ones are missing is asked before.
pub(super) fn run(connection: &mut Connection) -> Result<Vec<String>, refinery::Error> {
    let report = steps::migrations::runner().run(connection)?;
    let applied = report.applied_migrations().iter();
    Ok(applied.map(ToString::to_string).collect())
}

mod steps {
    refinery::embed_migrations!("migrations/sqlite");
}

#[cfg(test)]
mod tests {
    use std::fs::read_dir;
    use std::path::Path;

    fn names(folder: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(folder);
        let entries = read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn rule_25_both_databases_have_the_same_steps() {
        assert_eq!(names("sqlite"), names("mysql"));
    }
}
