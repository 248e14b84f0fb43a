//! How a query is written once: the macros that pick the engine's arm, and what is bound as a set.

use crate::Hash;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo};
use sqlx::{Encode, Postgres, Sqlite, Type};
use std::collections::BTreeSet;
use std::str::FromStr;
use sync_protocol::blob::BlobHash;
use uuid::Uuid;

/// Rows in one statement of SQLite: few sizes, so that every statement is prepared once and used again.
const SQLITE_ROWS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// Cuts rows into pieces of the sizes in which SQLite writes them, the largest first.
pub(crate) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SQLITE_ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// An insert of many rows that SQLite stops at the row that fails. By itself it would keep every page as it was before the
/// statement, to take back half of it; here a failed statement spends the transaction, which takes back all.
pub(crate) fn stopping(insert: &str) -> String {
    insert.replacen("insert into", "insert or fail into", 1)
}

/// Runs the body on the connection of either engine.
macro_rules! on_conn {
    ($tx:expr, |$conn:ident| $body:expr) => {
        match &mut $tx.conn {
            $crate::backend::Conn::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::backend::Conn::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

/// Puts a query together from literals and from the few parts in which the dialects differ:
/// `(ids "$2")` and `(texts "$2")` are `in` a bound set, `(for_update)` locks the rows of a table, `(skip_locked)` those
/// that nobody else has locked, `(sorted "seq")` sorts what was found instead of finding it in that order.
///
/// `(each "pointer" "rec" "$2")` is a table, with the `where` that begins after it: its rows of the tenant `$1` in whose
/// column one of the bound ids stands. PostgreSQL looks each id up by an index on tenant and column: a plan that was made
/// while the table was small would read all of it until the table is analysed. `(each_one "record" "rec" "$2")` is the
/// same for a column that is unique in the tenant, and holds for wide tables too, of which PostgreSQL supposes one row a
/// tenant: it asks for the next row in the order of the column, which no other index gives.
/// `(wanted "$2")` is only the bound ids, as a table of one column `wanted_id`; `(joined_one "record" "rec")` goes on from
/// any such table to the rows.
///
/// `(either {…} {…})` is the first on SQLite, the second on PostgreSQL.
macro_rules! sql {
    ($tx:expr, $($part:tt),+ $(,)?) => {
        $tx.dialect(
            concat!($($crate::sql::part!(sqlite $part)),+),
            concat!($($crate::sql::part!(postgres $part)),+),
        )
    };
}

macro_rules! part {
    (sqlite (ids $set:literal)) => { concat!("in (select unhex(value) from json_each(", $set, "))") };
    (sqlite (texts $set:literal)) => { concat!("in (select value from json_each(", $set, "))") };
    (sqlite (each $table:literal $column:literal $set:literal)) => {
        concat!($table, " where tenant = $1 and ", $column, " ", $crate::sql::part!(sqlite (ids $set)))
    };
    (sqlite (each_one $table:literal $column:literal $set:literal)) => {
        $crate::sql::part!(sqlite (each $table $column $set))
    };
    (sqlite (wanted $set:literal)) => {
        concat!("(select unhex(value) as wanted_id from json_each(", $set, ")) as wanted")
    };
    (sqlite (joined_one $table:literal $column:literal)) => {
        concat!(" cross join ", $table, " where tenant = $1 and ", $column, " = wanted_id")
    };
    (sqlite (either $sqlite:tt $postgres:tt)) => { $crate::sql::part!(sqlite $sqlite) };
    (sqlite (for_update)) => { "" };
    (sqlite (skip_locked)) => { "" };
    (sqlite (sorted $column:literal)) => { concat!(" order by +", $column) };
    (postgres (ids $set:literal)) => { concat!("= any(", $set, ")") };
    (postgres (texts $set:literal)) => { concat!("= any(", $set, ")") };
    // The offset keeps the planner from joining in another way.
    (postgres (each $table:literal $column:literal $set:literal)) => {
        concat!(
            $crate::sql::part!(postgres (wanted $set)), " cross join lateral (select * from ", $table,
            " where tenant = $1 and ", $column, " = wanted_id offset 0) as ", $table, " where true"
        )
    };
    (postgres (each_one $table:literal $column:literal $set:literal)) => {
        concat!(
            $crate::sql::part!(postgres (wanted $set)),
            $crate::sql::part!(postgres (joined_one $table $column))
        )
    };
    (postgres (wanted $set:literal)) => { concat!("unnest(", $set, ") as wanted (wanted_id)") };
    (postgres (joined_one $table:literal $column:literal)) => {
        concat!(
            " cross join lateral (select * from ", $table, " where tenant = $1 and ", $column,
            " >= wanted_id order by tenant, ", $column, " limit 1) as ", $table, " where ", $column, " = wanted_id"
        )
    };
    (postgres (either $sqlite:tt $postgres:tt)) => { $crate::sql::part!(postgres $postgres) };
    (postgres (for_update)) => { " for update" };
    (postgres (skip_locked)) => { " for update skip locked" };
    (postgres (sorted $column:literal)) => { concat!(" order by ", $column) };
    ($engine:ident {$($text:tt)*}) => { $($text)* };
    ($engine:ident $text:literal) => { $text };
}

/// Runs one statement over many rows and gives how many it wrote: `head`, the rows, `tail`.
///
/// The rows are long `values` on SQLite, in pieces of few sizes, and `unnest` on PostgreSQL.
macro_rules! with_rows {
    ($tx:expr, $head:expr, $rows:expr, |$row:ident| [$($kind:ident $value:expr),+ $(,)?], $tail:expr) => {{
        let rows = $rows;
        let mut written = 0;
        if !rows.is_empty() {
            match &mut $tx.conn {
                $crate::backend::Conn::Sqlite(tx) => {
                    let head = $crate::sql::stopping($head);
                    for piece in $crate::sql::pieces(rows) {
                        let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new(&head);
                        query.push_values(piece, |mut out, $row| { $(out.push_bind($value);)+ });
                        query.push($tail);
                        written += query.build().execute(&mut **tx).await?.rows_affected();
                    }
                }
                $crate::backend::Conn::Postgres(tx) => {
                    let mut query = sqlx::QueryBuilder::<sqlx::Postgres>::new($head);
                    query.push("select * from unnest(");
                    let mut columns = query.separated(", ");
                    $(
                        let column = rows.iter().map(|$row| {
                            _ = $row;
                            $value
                        });
                        columns.push_bind(column.collect::<Vec<_>>());
                        columns.push_unseparated(concat!("::", stringify!($kind), "[]"));
                    )+
                    query.push(") ").push($tail);
                    written += query.build().execute(&mut **tx).await?.rows_affected();
                }
            }
        }
        written
    }};
}

/// Reads a row of either engine: names columns with `try_get`.
macro_rules! from_row {
    ($name:ty, |$row:ident| $body:expr) => {
        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $name {
            fn from_row($row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                use sqlx::Row as _;
                Ok($body)
            }
        }
        impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for $name {
            fn from_row($row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                use sqlx::Row as _;
                Ok($body)
            }
        }
    };
}

/// Gives an enum the words that stand for it in its column.
macro_rules! stored_as {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word that is stored.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl std::str::FromStr for $name {
            type Err = sync_protocol::id::NotAnId;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(sync_protocol::id::NotAnId(concat!("a ", stringify!($name)))),
                }
            }
        }
    };
}

pub(crate) use {from_row, on_conn, part, sql, stored_as, with_rows};

/// Reads a stored text as what it names; damage is named by the column.
pub(crate) fn parsed<T: FromStr<Err: Into<BoxDynError>>>(
    column: &str,
    text: &str,
) -> sqlx::Result<T> {
    text.parse().map_err(|error: T::Err| damaged(column, error))
}

/// Reads a stored text that may be absent.
pub(crate) fn parsed_option<T: FromStr<Err: Into<BoxDynError>>>(
    column: &str,
    text: Option<&str>,
) -> sqlx::Result<Option<T>> {
    text.map(|text| parsed(column, text)).transpose()
}

/// Reads a stored SHA-256.
pub(crate) fn hash(column: &str, bytes: &[u8]) -> sqlx::Result<Hash> {
    bytes.try_into().map_err(|error| damaged(column, error))
}

fn damaged(column: &str, source: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: source.into() }
}

/// A set of ids in one bind: a JSON array of hexadecimal texts on SQLite, `uuid[]` on PostgreSQL.
pub(crate) struct Ids(Vec<Uuid>);

impl Ids {
    pub(crate) fn of(ids: impl IntoIterator<Item = Uuid>) -> Self {
        let ids: BTreeSet<Uuid> = ids.into_iter().collect();
        Self(ids.into_iter().collect())
    }
}

impl Type<Sqlite> for Ids {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Ids {
    fn encode_by_ref(&self, out: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let mut json = String::with_capacity(2 + 35 * self.0.len());
        json.push('[');
        for (i, id) in self.0.iter().enumerate() {
            let mut hex = uuid::Uuid::encode_buffer();
            json.push_str(if i == 0 { "\"" } else { ",\"" });
            json.push_str(id.simple().encode_lower(&mut hex));
            json.push('"');
        }
        json.push(']');
        Encode::<Sqlite>::encode(json, out)
    }
}

impl Type<Postgres> for Ids {
    fn type_info() -> PgTypeInfo {
        <Vec<Uuid> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Ids {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.0, out)
    }
}

/// A set of hashes in one bind: a JSON array of hexadecimal texts on SQLite, `bytea[]` on PostgreSQL.
pub(crate) struct Hashes(Vec<Hash>);

impl Hashes {
    pub(crate) fn of(hashes: impl IntoIterator<Item = BlobHash>) -> Self {
        Self(hashes.into_iter().map(|hash| hash.0).collect())
    }
}

impl Type<Sqlite> for Hashes {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Hashes {
    fn encode_by_ref(&self, out: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let hex: Vec<String> = self.0.iter().map(|hash| BlobHash(*hash).to_string()).collect();
        Encode::<Sqlite>::encode(serde_json::to_string(&hex)?, out)
    }
}

impl Type<Postgres> for Hashes {
    fn type_info() -> PgTypeInfo {
        <Vec<Vec<u8>> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Hashes {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let slices: Vec<&[u8]> = self.0.iter().map(Hash::as_slice).collect();
        Encode::<Postgres>::encode_by_ref(&slices, out)
    }
}

/// A set of texts in one bind: a JSON array on SQLite, `text[]` on PostgreSQL.
pub(crate) struct Texts(Vec<String>);

impl Texts {
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(texts.into_iter().map(str::to_owned).collect())
    }
}

impl Type<Sqlite> for Texts {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Texts {
    fn encode_by_ref(&self, out: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(serde_json::to_string(&self.0)?, out)
    }
}

impl Type<Postgres> for Texts {
    fn type_info() -> PgTypeInfo {
        <Vec<String> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Texts {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.0, out)
    }
}
