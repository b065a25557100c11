//! What every store of users promises. The cases are written once, in `cases`, and run on SQLite and on
//! MariaDB; each case has a database of its own, opened twice, as by two processes.

use std::path::PathBuf;
use std::sync::Arc;

use airside::base::clock::Clock;
use airside::base::decode::{Decode, FromText};
use airside::base::report::Report;
use airside::base::yaml;
use airside::identity::config::StoreAddress;
use airside::identity::email::Email;
use airside::identity::password::{PasswordPool, PasswordRules, PlainPassword};
use airside::identity::role::RoleName;
use airside::identity::store::{Actor, Mysql, Origin, Source, Sqlite, UserStore};
use airside::identity::user::{BeforeCreate, NewUser};
use mysql_async::prelude::Queryable;
use tempfile::TempDir;

use crate::support::mariadb::{Mariadb, Shared};

mod api_keys;
mod attempts;
mod cases;
mod deadlock;
mod keys;
mod people;
mod races;
mod sessions;
mod values;

/// Runs each case on each store.
macro_rules! on_each_store {
    ($($module:ident: $($case:ident)*;)*) => {
        mod sqlite {
            $($(#[tokio::test]
            async fn $case() {
                super::$module::$case(&super::OnSqlite::new()).await;
            })*)*
        }

        mod mysql {
            $($(#[tokio::test]
            async fn $case() {
                super::$module::$case(&super::OnMysql::new(stringify!($case)).await).await;
            })*)*
        }
    };
}

on_each_store! {
    cases:
        a_user_is_found_as_it_was_made
        what_is_not_there_is_not_found
        a_role_is_made_once
        roles_are_given_only_where_both_sides_exist
        giving_twice_and_taking_twice_change_once
        rule_18_each_real_change_raises_the_token_version_by_one
        rule_19_the_last_admin_who_can_sign_in_stays
        rule_28_a_change_and_its_audit_row_are_one
        a_disabled_user_is_known_as_such;
    values:
        rule_12_a_stored_hash_of_an_absurd_cost_is_not_used
        rule_13_the_column_takes_nothing_but_a_hash
        rule_21_keys_that_differ_in_a_byte_never_merge
        rule_21_one_address_written_differently_is_taken
        the_longest_values_and_nul_come_back_whole
        a_user_may_have_more_roles_than_fit_a_short_text;
    sessions:
        a_session_begins_and_is_listed_until_it_ends
        rule_17_a_refresh_token_is_replaced_and_its_successor_comes_again_for_a_while
        rule_17_a_token_used_again_too_late_ends_the_session
        rule_17_of_many_who_rotate_at_once_all_get_one_successor
        a_session_that_is_over_is_not_rotated
        rule_18_what_ends_tokens_is_told_in_order_to_everyone
        a_password_changes_once_and_a_better_hash_takes_only_its_place
        what_has_had_its_time_is_cleared_away;
    people:
        users_are_listed_in_order_and_by_a_part_of_the_address
        rule_19_the_last_admin_who_can_sign_in_is_not_disabled
        rule_19_of_two_admins_who_disable_each_other_one_remains
        a_disabled_user_has_no_session_and_begins_none
        a_role_goes_when_nobody_has_it
        rule_28_the_audit_log_is_read_newest_first;
    keys:
        rule_24_a_key_goes_through_its_states_once_and_each_has_its_audit_row
        rule_24_only_the_first_key_of_all_is_active_at_once
        rule_24_a_key_can_be_ended_in_any_state_but_never_the_last_one_that_is_active
        a_published_key_is_found_as_it_was
        a_table_of_keys_takes_no_secret_and_no_other_order
        what_is_no_key_of_ours_is_not_used;
    attempts:
        rule_16_of_fifty_attempts_at_once_five_are_granted
        rule_16_an_address_is_counted_across_accounts_and_gateways
        rule_16_a_success_wipes_out_failures_and_makes_a_network_known
        what_an_attempt_leaves_behind_is_forgotten_in_time
        an_attempt_whose_gateway_died_counts_as_failed;
    api_keys:
        a_key_is_listed_and_known_until_it_is_revoked
        keys_are_listed_in_order_page_by_page
        a_key_has_only_roles_that_exist
        a_role_that_a_key_has_stays_until_the_key_is_revoked
        nothing_is_read_again_until_something_changes
        rule_28_a_key_and_its_audit_row_are_one
        a_role_removed_while_keys_are_made_of_it_is_whole_or_gone
        the_longest_key_fits;
    races:
        rule_20_of_fifty_who_take_one_address_one_gets_it
        rule_19_of_two_admins_who_demote_each_other_one_remains
        rule_19_of_many_admins_who_all_leave_at_once_one_remains
        one_user_changed_from_two_sides_ends_whole
        a_role_that_many_make_at_once_is_made_once;
}

/// A database, opened twice.
trait Backend {
    fn store(&self) -> &Arc<dyn UserStore>;

    /// The same data, as another process has it.
    fn other(&self) -> &Arc<dyn UserStore>;

    /// A look behind the store: rows, each column as text.
    async fn rows(&self, select: &str) -> Vec<Vec<String>>;

    /// A change behind the store's back. Errors: the database refuses it.
    async fn execute(&self, sql: &str) -> Result<(), String>;

    /// The audit log since the start, as `actor action subject detail`.
    async fn audit(&self) -> Vec<String> {
        let select = "SELECT actor, action, subject, detail FROM audit_log
                      WHERE actor <> 'start' ORDER BY sequence";
        let rows = self.rows(select).await;
        rows.iter().map(|row| row.join(" ")).collect()
    }
}

struct OnSqlite {
    stores: [Arc<dyn UserStore>; 2],
    path: PathBuf,
    _folder: TempDir,
}

impl OnSqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("airside.db");
        let open = || -> Arc<dyn UserStore> {
            Arc::new(Sqlite::open(&path, &configured(), &Clock::at(NOW)).unwrap())
        };
        Self {
            stores: [open(), open()],
            path,
            _folder: folder,
        }
    }

    fn connect(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection
            .pragma_update(None, "foreign_keys", true)
            .unwrap();
        connection
    }
}

impl Backend for OnSqlite {
    fn store(&self) -> &Arc<dyn UserStore> {
        &self.stores[0]
    }

    fn other(&self) -> &Arc<dyn UserStore> {
        &self.stores[1]
    }

    async fn rows(&self, select: &str) -> Vec<Vec<String>> {
        use rusqlite::types::Value;
        let connection = self.connect();
        let mut statement = connection.prepare(select).unwrap();
        let columns = statement.column_count();
        let text = |value| match value {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        let rows = statement.query_map([], |row| {
            (0..columns).map(|index| row.get(index).map(text)).collect()
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    async fn execute(&self, sql: &str) -> Result<(), String> {
        let done = self.connect().execute(sql, []);
        done.map(drop).map_err(|error| error.to_string())
    }
}

struct OnMysql {
    stores: [Arc<dyn UserStore>; 2],
    url: String,
    server: Shared,
}

impl OnMysql {
    async fn new(name: &str) -> Self {
        let server = Mariadb::shared();
        let url = server.new_database(name).await;
        let stores = [open_mysql(&url), open_mysql(&url)];
        for store in &stores {
            store.prepared().await.unwrap();
        }
        Self {
            stores,
            url,
            server,
        }
    }

    async fn connect(&self) -> mysql_async::Conn {
        mysql_async::Conn::from_url(&self.url).await.unwrap()
    }
}

/// With more patience than in production: the machine may be busy with other tests.
fn open_mysql(url: &str) -> Arc<dyn UserStore> {
    let url = format!("{url}?acquire_timeout=30s&query_timeout=30s");
    let mut report = Report::default();
    let address = StoreAddress::decode(&yaml::read(&url).unwrap(), &mut report);
    let Some(StoreAddress::Mysql(address)) = address else {
        panic!("{:?}", report.problems())
    };
    let folder = std::env::temp_dir();
    Arc::new(Mysql::open(&address, &folder, &configured(), &Clock::at(NOW)).unwrap())
}

impl Backend for OnMysql {
    fn store(&self) -> &Arc<dyn UserStore> {
        &self.stores[0]
    }

    fn other(&self) -> &Arc<dyn UserStore> {
        &self.stores[1]
    }

    async fn rows(&self, select: &str) -> Vec<Vec<String>> {
        let rows: Vec<mysql_async::Row> = self.connect().await.query(select).await.unwrap();
        let text = |value| mysql_async::from_value::<String>(value);
        rows.into_iter()
            .map(|row| row.unwrap().into_iter().map(text).collect())
            .collect()
    }

    async fn execute(&self, sql: &str) -> Result<(), String> {
        let done = self.connect().await.query_drop(sql).await;
        done.map_err(|error| error.to_string())
    }
}

fn configured() -> [RoleName; 2] {
    [RoleName::admin(), RoleName::customer()]
}

fn role(name: &str) -> RoleName {
    RoleName::from_text(name).unwrap()
}

fn origin() -> Origin {
    Origin {
        actor: Actor::Shell,
        at: NOW,
        source: Source::default(),
    }
}

/// The same, later.
fn at(millis: u64) -> Origin {
    Origin {
        at: NOW + millis,
        ..origin()
    }
}

async fn user(email: &str, roles: &[RoleName]) -> NewUser {
    let email = Email::parse(email).unwrap();
    let rules = PasswordRules { min_length: 8 };
    let plain = PlainPassword::new("correct horse");
    let before = BeforeCreate {
        password: plain.accept(rules, email.key()).unwrap(),
        email,
        roles: roles.to_vec(),
    };
    // The lowest cost that there is.
    let pool = PasswordPool::start(4, 1, 1).unwrap();
    before.run(&pool, NOW).await.unwrap()
}

const NOW: u64 = 1_800_000_000_000;
