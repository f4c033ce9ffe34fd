//! How a database is opened: TLS, passwords, schemas.

use std::thread;
use std::time::Duration;

use super::PostgresStore;
use super::migrate::MIGRATIONS;
use super::server::{PASSWORD, Server};
use crate::store::{Store, StoreError};

const DEADLINE: Duration = Duration::from_secs(10);

/// Whether the connections to a database are encrypted.
fn encrypted(database: &str) -> String {
    let sql = format!(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '{database}'
         AND application_name = 'tidegate'"
    );
    Server::shared().psql("postgres", &sql)
}

#[test]
fn every_mode_of_tls_does_what_it_says() {
    let server = Server::shared();
    for (mode, expected) in [("disable", "f"), ("prefer", "t"), ("require", "t")] {
        let database = server.database();
        let store = PostgresStore::open(&server.tcp_url("127.0.0.1", &database, mode), "a").unwrap();
        assert_eq!(encrypted(&database), expected, "{mode}");
        assert_eq!(store.meta("a").unwrap(), None);
    }
    let database = server.database();
    let root = server.folder().join("root.crt").display().to_string().replace('/', "%2F");
    let mode = format!("verify-full&sslrootcert={root}");
    let store = PostgresStore::open(&server.tcp_url("localhost", &database, &mode), "a").unwrap();
    assert_eq!(encrypted(&database), "t");
    drop(store);
    // Right for everyone but this name.
    let other = server.tcp_url("localhost.localdomain", &database, &format!("{mode}&hostaddr=127.0.0.1"));
    let error = PostgresStore::open(&other, "a").unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_where_it_is_checked() {
    let server = Server::shared();
    let opened = PostgresStore::open(&server.tcp_url("localhost", "postgres", "verify-full"), "a");
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
}

#[test]
fn neither_errors_nor_debug_show_the_password() {
    let server = Server::shared();
    let database = server.database();
    let good = server.url(&database);
    let store = PostgresStore::open(&good, "node-1").unwrap();
    assert_eq!(format!("{store:?}"), "PostgresStore { node: \"node-1\", .. }");
    for url in [
        good.replace(PASSWORD, "falsch-bar"),
        good.replace(&database, "no-such-database"),
        server.tcp_url("127.0.0.1", &database, "disable").replace(&server.port.to_string(), "1"),
    ] {
        let error = PostgresStore::open(&url, "a").unwrap_err();
        for said in [error.to_string(), format!("{error:?}")] {
            assert!(!said.contains("-bar"), "{said}");
            assert!(said.contains("PostgreSQL: "), "{said}");
        }
    }
}

#[test]
fn nodes_that_start_at_once_make_one_schema() {
    let server = Server::shared();
    let url = server.url(&server.database());
    let nodes: Vec<_> = (0..8)
        .map(|n| {
            let url = url.clone();
            thread::spawn(move || PostgresStore::open(&url, &format!("node-{n}")).map(|_| ()))
        })
        .collect();
    for node in nodes {
        node.join().unwrap().unwrap();
    }
}

#[test]
fn a_store_from_the_future_is_refused() {
    let server = Server::shared();
    let database = server.database();
    drop(PostgresStore::open(&server.url(&database), "a").unwrap());
    server.psql(&database, "UPDATE schema_version SET version = 99");
    let opened = PostgresStore::open(&server.url(&database), "a");
    assert!(matches!(opened, Err(StoreError::Future { found: 99, .. })), "{opened:?}");
}

#[test]
fn a_broken_migration_leaves_the_schema_as_it_was() {
    static BROKEN: [&str; 5] = [
        MIGRATIONS[0],
        MIGRATIONS[1],
        MIGRATIONS[2],
        "CREATE TABLE fine (a BIGINT); DROP TABLE told",
        "CREATE TABLE half (a BIGINT); CREATE TABLE api_key (a BIGINT)",
    ];
    let server = Server::shared();
    let database = server.database();
    let url = server.url(&database);
    let mut store = PostgresStore::open(&url, "a").unwrap();
    store.tell_once("a", 9, 0).unwrap();
    let error = PostgresStore::open_at(&url, "b", DEADLINE, &BROKEN).unwrap_err().to_string();
    assert!(error.contains("migration 5 failed, the store stays at schema 3"), "{error}");
    assert_eq!(
        server.psql(&database, "SELECT to_regclass('fine') IS NULL, to_regclass('half') IS NULL"),
        "t|t"
    );
    // The version before goes on as if nothing had been.
    let mut store = PostgresStore::open(&url, "c").unwrap();
    assert!(!store.tell_once("a", 9, 1).unwrap());
}
