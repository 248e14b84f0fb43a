//! The schema of both databases, as steps that come in pairs.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One step: its version, its name, its SQL for SQLite and for PostgreSQL.
type Step = (i64, &'static str, &'static str, &'static str);

const STEPS: &[Step] = &[
    (
        1,
        "first",
        include_str!("../../migrations/sqlite/0001_first.sql"),
        include_str!("../../migrations/postgres/0001_first.sql"),
    ),
    (
        2,
        "media",
        include_str!("../../migrations/sqlite/0002_media.sql"),
        include_str!("../../migrations/postgres/0002_media.sql"),
    ),
    (
        3,
        "renders",
        include_str!("../../migrations/sqlite/0003_renders.sql"),
        include_str!("../../migrations/postgres/0003_renders.sql"),
    ),
];

pub(crate) fn sqlite() -> Migrator {
    migrator(|&(version, name, sqlite, _)| (version, name, sqlite))
}

pub(crate) fn postgres() -> Migrator {
    migrator(|&(version, name, _, postgres)| (version, name, postgres))
}

fn migrator(pick: fn(&Step) -> (i64, &'static str, &'static str)) -> Migrator {
    let steps = STEPS.iter().map(pick).map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}
