//! A transaction that the server chose to make way for another is begun anew. Only MySQL does that.

use std::sync::Arc;

use mysql_async::prelude::Queryable;

use super::{Backend, OnMysql, RoleName, origin, user};
use crate::support::wait::wait_until;

#[tokio::test]
async fn who_makes_way_in_a_deadlock_begins_anew() {
    let on = OnMysql::new("deadlock").await;
    let ann = user("ann@x.org", &[]).await;
    let id = ann.id();
    on.store().create_user(ann, origin()).await.unwrap();
    // The other one has changed many rows, so that the server gives up ours.
    let mut other = on.connect().await;
    other.query_drop("BEGIN").await.unwrap();
    for number in 0..50 {
        let insert = format!("INSERT INTO roles VALUES ('other{number}', 0)");
        other.query_drop(insert).await.unwrap();
    }
    let keep = "SELECT name FROM roles WHERE name = 'customer' FOR UPDATE";
    other.query_drop(keep).await.unwrap();
    let store = Arc::clone(on.store());
    let grant =
        tokio::spawn(async move { store.grant_role(id, RoleName::customer(), origin()).await });
    // It has the user's row, and waits for the role's.
    let mut root = on.server.as_root().await;
    let waits = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'";
    wait_until("a transaction that waits", async || {
        let waits: Option<(String, String)> = root.query_first(waits).await.unwrap();
        waits.is_some_and(|(_, count)| count != "0")
    })
    .await;
    let select = format!("SELECT id FROM users WHERE id = '{id}' FOR UPDATE");
    other.query_drop(select).await.unwrap();
    assert!(!grant.is_finished());
    other.query_drop("COMMIT").await.unwrap();
    grant.await.unwrap().unwrap();
    let user = on.store().user(id).await.unwrap().unwrap();
    assert_eq!((user.roles.len(), user.token_version), (1, 1));
    assert_eq!(on.audit().await.len(), 2);
}
