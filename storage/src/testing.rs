//! Throw-away databases for tests: a fresh one for each test, on either engine.
//!
//! ```
//! use storage::{Store, testing::TestResult};
//!
//! storage::on_both!(an_empty_store_has_no_tenants);
//!
//! async fn an_empty_store_has_no_tenants(store: Store) -> TestResult {
//!     assert!(store.read().await?.tenants().list().await?.is_empty());
//!     Ok(())
//! }
//! # fn main() {}
//! ```

mod cluster;
mod folder;

pub use cluster::{Cluster, Fsync};
pub use folder::Folder;

use crate::{Durability, Options, Store};

/// What a test answers: `?` on everything that must not fail.
pub type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Connections of a test's store: enough for sixteen writers and their readers.
const CONNECTIONS: u32 = 24;

/// A store of a test, and what goes away with it.
#[derive(Debug)]
pub struct TestStore {
    /// The open store.
    pub store: Store,
    /// What opens it once more.
    pub options: Options,
    _folder: Option<Folder>,
}

/// Opens a fresh SQLite store, which survives nothing.
pub async fn sqlite() -> TestResult<TestStore> {
    sqlite_with(Durability::VolatileForSimulation).await
}

/// Opens a fresh SQLite store.
pub async fn sqlite_with(durability: Durability) -> TestResult<TestStore> {
    let folder = Folder::new("sqlite")?;
    let url = format!("sqlite:{}/genba.db", folder.path().display());
    let options = Options { read_connections: CONNECTIONS, durability, ..Options::new(url) };
    Ok(TestStore { store: Store::open(&options).await?, options, _folder: Some(folder) })
}

/// Opens a fresh database on the PostgreSQL of this process, which survives nothing.
pub async fn postgres() -> TestResult<TestStore> {
    postgres_with(Durability::VolatileForSimulation).await
}

/// Opens a fresh database on the PostgreSQL of this process.
pub async fn postgres_with(durability: Durability) -> TestResult<TestStore> {
    let fsync = match durability {
        Durability::Full => Fsync::On,
        Durability::VolatileForSimulation => Fsync::Off,
    };
    let url = Cluster::of_this_process(fsync).create_database().await?;
    let options = Options { read_connections: CONNECTIONS, durability, ..Options::new(url) };
    Ok(TestStore { store: Store::open(&options).await?, options, _folder: None })
}

/// Makes of each case `async fn name(store: Store) -> TestResult` the tests `sqlite::name` and `postgres::name`.
#[macro_export]
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() -> $crate::testing::TestResult {
                    let test = $crate::testing::sqlite().await?;
                    super::$case(test.store.clone()).await
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() -> $crate::testing::TestResult {
                    let test = $crate::testing::postgres().await?;
                    super::$case(test.store.clone()).await
                }
            )+
        }
    };
}
