//! The commands about people, on both stores, with and without a gateway beside them.

use std::path::Path;
use std::process::{Command, Output};

mod add;
mod people;

/// A configuration that nothing runs with.
fn written(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("airside.yaml"), text).unwrap();
    folder
}

/// A configuration with identity on a store.
fn on(store: &str) -> tempfile::TempDir {
    written(&format!(
        "listeners: [{{ address: 127.0.0.1:3001 }}]\n\
         identity: {{ store: \"{store}\", keys: keys, password: {{ bcrypt_cost: 10 }},\n\
         \x20 signup: {{ roles: [customer] }}, roles: [admin, customer] }}\n\
         routes: [{{ path: /ping, auth: public, respond: {{ status: 200 }} }}]\n",
    ))
}

/// `airside`, with the configuration of a folder.
fn airside(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airside"));
    command.args(arguments).arg("-c");
    command.arg(folder.join("airside.yaml"));
    command.env("NO_COLOR", "1").output().unwrap()
}
