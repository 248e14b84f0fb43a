//! What durability rests on is in force, or the store does not open.

use crate::sample::{NOW, hash, tenant};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use std::time::Duration;
use storage::testing::{self, Folder, TestResult};
use storage::{Durability, Engine, Options, StorageError, Store};

#[tokio::test]
async fn a_durable_store_opens_and_keeps_what_was_committed() -> TestResult {
    let sqlite = testing::sqlite_with(Durability::Full).await?;
    let postgres = testing::postgres_with(Durability::Full).await?;
    assert_eq!(sqlite.store.engine(), Engine::Sqlite);
    assert_eq!(postgres.store.engine(), Engine::Postgres);
    for test in [sqlite, postgres] {
        let tenant = tenant(&test.store).await?;
        test.store.close().await;
        let again = Store::open(&test.options).await?;
        assert!(again.read().await?.tenants().find(&tenant).await?.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn a_durable_store_refuses_a_server_without_fsync() -> TestResult {
    let test = testing::postgres().await?;
    let durable = Options { durability: Durability::Full, ..test.options };
    let refused = Store::open(&durable).await.expect_err("fsync is off");
    assert!(matches!(&refused, StorageError::Unsafe(what) if what.contains("fsync")), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_store_refuses_another_encoding() -> TestResult {
    let test = testing::postgres().await?;
    let mut conn = PgConnection::connect(&test.options.url).await?;
    let name =
        "create database latin template template0 encoding 'latin1' lc_collate 'C' lc_ctype 'C'";
    conn.execute(name).await?;
    let (server, _) = test.options.url.rsplit_once('/').ok_or("an address has a database")?;
    let latin = Options { url: format!("{server}/latin"), ..test.options.clone() };
    let refused = Store::open(&latin).await.expect_err("it is latin1");
    assert!(matches!(&refused, StorageError::Unsafe(what) if what.contains("UTF8")), "{refused}");
    Ok(())
}

#[tokio::test]
async fn an_address_of_no_supported_database_is_refused() {
    for url in ["", "mysql://x/y", "/var/lib/genba.db", "sqlite::memory:"] {
        let refused = Store::open(&Options::new(url)).await.expect_err(url);
        assert!(matches!(refused, StorageError::UnsupportedUrl), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_made_only_when_asked_for() -> TestResult {
    let folder = Folder::new("absent")?;
    let url = format!("sqlite:{}", folder.path().join("genba.db").display());
    let asked = Options::new(url);
    let unasked = Options { create: false, ..asked.clone() };
    let refused = Store::open(&unasked).await.expect_err("no file is there");
    assert!(matches!(&refused, StorageError::NoDatabase(path) if path.ends_with("genba.db")));
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
    Store::open(&asked).await?.close().await;
    Store::open(&unasked).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn a_reader_cannot_write() -> TestResult {
    for test in [testing::sqlite().await?, testing::postgres().await?] {
        let mut tx = test.store.read().await?;
        let refused = tx.nonces().issue(&hash(1), NOW).await;
        assert!(matches!(refused, Err(StorageError::Database(_))), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_when_the_reading_begins() -> TestResult {
    for test in [testing::sqlite().await?, testing::postgres().await?] {
        let mut before = test.store.read().await?;
        let tenant = tenant(&test.store).await?;
        assert_eq!(before.tenants().find(&tenant).await?, None);
        assert!(test.store.read().await?.tenants().find(&tenant).await?.is_some());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_too_long_is_told_that_the_store_is_busy() -> TestResult {
    for test in [testing::sqlite().await?, testing::postgres().await?] {
        let tenant = tenant(&test.store).await?;
        let mut first = test.store.write().await?;
        first.head().advance(&tenant, 1).await?;
        let second = async {
            let mut tx = test.store.write().await?;
            tx.head().advance(&tenant, 1).await
        };
        let refused = tokio::time::timeout(Duration::from_secs(8), second).await?;
        assert!(matches!(refused, Err(StorageError::Busy(_))), "{refused:?}");
        first.commit().await?;
        let mut third = test.store.write().await?;
        assert_eq!(third.head().advance(&tenant, 1).await?.seq.0, 2);
    }
    Ok(())
}

#[tokio::test]
async fn another_process_that_holds_the_file_is_waited_for() -> TestResult {
    let test = testing::sqlite().await?;
    let mut other = SqliteConnection::connect(&test.options.url).await?;
    other.execute("begin immediate").await?;
    let store = test.store.clone();
    let waiting = tokio::spawn(async move { tenant(&store).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    other.execute("commit").await?;
    waiting.await??;
    Ok(())
}

#[tokio::test]
async fn a_changed_migration_is_refused() -> TestResult {
    let test = testing::sqlite().await?;
    let mut conn = SqliteConnection::connect(&test.options.url).await?;
    conn.execute("update _sqlx_migrations set checksum = x'00'").await?;
    let refused = Store::open(&test.options).await.expect_err("another hand was here");
    assert!(matches!(refused, StorageError::Migrate(_)), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_row_is_named() -> TestResult {
    let test = testing::sqlite().await?;
    let tenant = tenant(&test.store).await?;
    let mut conn = SqliteConnection::connect(&test.options.url).await?;
    conn.execute(
        "insert into pointer (tenant, bucket, rec, seq, since, live)
         values ('fire', 'no bucket', x'00000000000000000000000000000001', 1, 1, 1)",
    )
    .await?;
    let mut tx = test.store.read().await?;
    let refused = tx.pointers().buckets_of(&tenant, &[crate::sample::rec(1)]).await;
    assert!(
        matches!(&refused, Err(StorageError::Damaged(what)) if what == "bucket"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_a_failure_of_the_database() -> TestResult {
    let folder = Folder::new("nowhere")?;
    let url = format!("sqlite:{}/none/genba.db", folder.path().display());
    let refused = Store::open(&Options::new(url)).await.expect_err("there is no such folder");
    assert!(matches!(refused, StorageError::Database(_)), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_goes_away_is_busy_and_comes_back() -> TestResult {
    const END_OTHERS: &str = "
        select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()";
    let test = testing::postgres().await?;
    let tenant = tenant(&test.store).await?;
    let mut tx = test.store.write().await?;
    tx.head().advance(&tenant, 1).await?;
    PgConnection::connect(&test.options.url).await?.execute(END_OTHERS).await?;
    let refused = tx.head().advance(&tenant, 1).await;
    assert!(matches!(refused, Err(StorageError::Busy(_))), "{refused:?}");
    drop(tx);
    assert_eq!(test.store.write().await?.head().advance(&tenant, 1).await?.seq.0, 1);
    Ok(())
}
