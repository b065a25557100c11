//! The real servers that the tests lean on: they run, they answer, and they take our migrations.

use std::path::{Path, PathBuf};

use mysql_async::prelude::Queryable;
use redis::AsyncCommands;

use crate::support::mariadb::Mariadb;
use crate::support::redis::Redis;

#[tokio::test]
async fn redis_answers_and_keeps_a_value() {
    let mut server = Redis::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let pong: String = redis::cmd("PING")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(pong, "PONG");
    let _: () = connection.set("flight", 7).await.unwrap();
    assert_eq!(
        connection.get::<_, Option<u32>>("flight").await.unwrap(),
        Some(7)
    );

    server.restart();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(
        connection.get::<_, Option<u32>>("flight").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn mariadb_answers_keeps_its_data_and_takes_the_migrations() {
    let mut server = Mariadb::start();
    let mut connection = mysql_async::Conn::from_url(server.url()).await.unwrap();
    let sum: Option<u32> = connection.query_first("SELECT 3 + 4").await.unwrap();
    assert_eq!(sum, Some(7));

    connection
        .query_drop("CREATE DATABASE airside_migrated")
        .await
        .unwrap();
    connection.query_drop("USE airside_migrated").await.unwrap();
    for file in migrations() {
        let sql = std::fs::read_to_string(&file).unwrap();
        let applied = connection.query_drop(&sql).await;
        applied.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    connection
        .query_drop("CREATE TABLE kept (id INT PRIMARY KEY)")
        .await
        .unwrap();
    connection
        .query_drop("INSERT INTO kept VALUES (7)")
        .await
        .unwrap();
    server.restart();
    let mut connection = mysql_async::Conn::from_url(server.url()).await.unwrap();
    let kept: Option<u32> = connection
        .query_first("SELECT id FROM airside_migrated.kept")
        .await
        .unwrap();
    assert_eq!(kept, Some(7));
}

/// The files of `migrations/mysql`, by their number.
fn migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/mysql");
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let (number, _) = name.strip_prefix('V')?.split_once("__")?;
            Some((number.parse::<u32>().ok()?, path))
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}
