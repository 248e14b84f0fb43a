//! Whoever stops waiting leaves nothing behind: no open transaction, no half commit, no lost connection.

use crate::sample::{NOW, hash, tenant};
use sqlx::{Connection as _, PgConnection};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use storage::Store;
use storage::testing::{self, TestResult};
use tokio::time::{sleep, timeout};

storage::on_both!(a_begin_that_is_dropped_is_rolled_back, a_dropped_commit_still_commits);

/// Lets a future take this many steps and drops it.
async fn cut_after<T>(steps: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..steps {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(done);
        }
        sleep(Duration::from_micros(50)).await;
    }
    None
}

async fn a_begin_that_is_dropped_is_rolled_back(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    for round in 0..60 {
        drop(cut_after(1 + round % 6, store.write()).await);
        drop(cut_after(1 + round % 6, store.read()).await);
    }
    // All connections are free and clean again: a write on each, and no failed transaction among them.
    for _ in 0..30 {
        let mut tx = timeout(Duration::from_secs(2), store.write()).await??;
        tx.head().advance(&tenant, 1).await?;
        tx.commit().await?;
    }
    assert_eq!(store.read().await?.head().read(&tenant).await?.seq.0, 30);
    Ok(())
}

async fn a_dropped_commit_still_commits(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.head().advance(&tenant, 1).await?;
    drop(cut_after(1, tx.commit()).await);
    let seen = timeout(Duration::from_secs(2), async {
        while store.read().await?.head().read(&tenant).await?.seq.0 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        TestResult::Ok(())
    });
    seen.await?
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_no_transaction_of_a_dropped_begin() -> TestResult {
    const OPEN: &str = "
        select count(*) from pg_stat_activity
         where datname = current_database() and state like 'idle in transaction%'";
    let test = testing::postgres().await?;
    let mut watcher = PgConnection::connect(&test.options.url).await?;
    for round in 0..30 {
        drop(cut_after(1 + round % 6, test.store.write()).await);
        drop(cut_after(1 + round % 6, test.store.read()).await);
        let all_ended = timeout(Duration::from_secs(2), async {
            while sqlx::query_scalar::<_, i64>(OPEN).fetch_one(&mut watcher).await? > 0 {
                sleep(Duration::from_millis(1)).await;
            }
            TestResult::Ok(())
        });
        all_ended.await.map_err(|_| format!("a transaction stays open in round {round}"))??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_dropped_spends_only_its_own_transaction() -> TestResult {
    for test in [testing::sqlite().await?, testing::postgres().await?] {
        for round in 0..20 {
            let mut tx = test.store.write().await?;
            tx.nonces().issue(&hash(1), NOW).await?;
            drop(cut_after(1 + round % 4, tx.nonces().issue(&hash(2), NOW)).await);
            drop(tx);
        }
        let mut tx = timeout(Duration::from_secs(2), test.store.write()).await??;
        assert!(!tx.nonces().take(&hash(1), NOW.plus(-1)).await?);
        assert!(!tx.nonces().take(&hash(2), NOW.plus(-1)).await?);
    }
    Ok(())
}
