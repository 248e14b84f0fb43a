//! Both schemas are one: the catalogs are compared, and so are the steps that made them.

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::collections::BTreeSet;
use std::fs;
use storage::testing::{self, TestResult};

/// A line for each thing that the two schemas must share.
type Lines = BTreeSet<String>;

async fn sqlite_lines() -> TestResult<Lines> {
    const COLUMNS: &str = "
        select t.name || '.' || c.name || ' '
               || replace(replace(lower(c.type), 'blob', 'bytes'), 'integer', 'number')
               || case when c.\"notnull\" = 1 then ' required' else '' end
               || case when c.pk > 0 then ' key ' || c.pk else '' end
          from sqlite_schema as t join pragma_table_info(t.name) as c
         where t.type = 'table' and t.name not like '\\_sqlx%' escape '\\'";
    const INDEXES: &str = "
        select t.name || ': ' || i.name || case when i.\"unique\" then ' unique' else '' end
               || case when i.partial then ' partial' else '' end || ' on '
               || (select group_concat(x.name, ', ') from (
                       select name from pragma_index_info(i.name) order by seqno) as x)
          from sqlite_schema as t join pragma_index_list(t.name) as i
         where t.type = 'table' and i.origin = 'c'";
    const REFERENCES: &str = "
        select t.name || ' (' || group_concat(f.\"from\", ', ') || ') -> ' || f.\"table\"
          from sqlite_schema as t join pragma_foreign_key_list(t.name) as f
         where t.type = 'table' group by t.name, f.id, f.\"table\"";
    let test = testing::sqlite().await?;
    let mut conn = SqliteConnection::connect(&test.options.url).await?;
    let mut lines = Lines::new();
    for sql in [COLUMNS, INDEXES, REFERENCES] {
        let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut conn).await?;
        lines.extend(found);
    }
    conn.close().await?;
    Ok(lines)
}

async fn postgres_lines() -> TestResult<Lines> {
    const COLUMNS: &str = "
        select c.table_name || '.' || c.column_name || ' '
               || case c.data_type when 'bytea' then 'bytes' when 'uuid' then 'bytes'
                                   when 'bigint' then 'number' when 'boolean' then 'number'
                                   else c.data_type end
               || case when c.is_nullable = 'NO' then ' required' else '' end
               || coalesce((
                    select ' key ' || k.ordinal_position
                      from information_schema.key_column_usage as k
                      join information_schema.table_constraints as p using (constraint_name)
                     where p.constraint_type = 'PRIMARY KEY' and p.table_name = c.table_name
                       and k.table_name = c.table_name and k.column_name = c.column_name), '')
          from information_schema.columns as c
         where c.table_schema = 'public' and c.table_name not like '\\_sqlx%'";
    const INDEXES: &str = "
        select t.relname || ': ' || i.relname || case when x.indisunique then ' unique' else '' end
               || case when x.indpred is not null then ' partial' else '' end || ' on '
               || (select string_agg(a.attname, ', ' order by k.n)
                     from unnest(x.indkey) with ordinality as k (attnum, n)
                     join pg_attribute as a on a.attrelid = t.oid and a.attnum = k.attnum)
          from pg_index as x join pg_class as i on i.oid = x.indexrelid
          join pg_class as t on t.oid = x.indrelid
         where t.relnamespace = 'public'::regnamespace and not x.indisprimary";
    const REFERENCES: &str = "
        select t.relname || ' (' || (
                   select string_agg(a.attname, ', ' order by k.n)
                     from unnest(f.conkey) with ordinality as k (attnum, n)
                     join pg_attribute as a on a.attrelid = t.oid and a.attnum = k.attnum)
               || ') -> ' || o.relname
          from pg_constraint as f join pg_class as t on t.oid = f.conrelid
          join pg_class as o on o.oid = f.confrelid
         where f.contype = 'f'";
    let test = testing::postgres().await?;
    let mut conn = PgConnection::connect(&test.options.url).await?;
    let mut lines = Lines::new();
    for sql in [COLUMNS, INDEXES, REFERENCES] {
        let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut conn).await?;
        lines.extend(found);
    }
    conn.close().await?;
    Ok(lines)
}

#[tokio::test]
async fn tables_columns_indexes_and_references_are_the_same() -> TestResult {
    let (sqlite, postgres) = (sqlite_lines().await?, postgres_lines().await?);
    let only = |a: &Lines, b: &Lines| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(only(&sqlite, &postgres), [""; 0], "only in SQLite");
    assert_eq!(only(&postgres, &sqlite), [""; 0], "only in PostgreSQL");
    for known in [
        "pointer.bucket text required key 2",
        "record.about bytes",
        "change: change_id unique on tenant, id",
        "quarantine: quarantine_rec partial on tenant, rec",
        "device (tenant, user_id) -> user_",
    ] {
        assert!(sqlite.contains(known), "{known} is not among {sqlite:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_table_of_sqlite_is_strict() -> TestResult {
    const SQL: &str = "
        select name from pragma_table_list
         where schema = 'main' and type = 'table' and strict = 0
           and name not like 'sqlite\\_%' escape '\\' and name not like '\\_sqlx%' escape '\\'";
    let test = testing::sqlite().await?;
    let mut conn = SqliteConnection::connect(&test.options.url).await?;
    let loose: Vec<String> = sqlx::query_scalar(SQL).fetch_all(&mut conn).await?;
    assert_eq!(loose, [""; 0]);
    Ok(())
}

#[test]
fn migrations_come_in_pairs_and_all_are_run() -> TestResult {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let names = |engine: &str| -> TestResult<BTreeSet<String>> {
        fs::read_dir(format!("{folder}/{engine}"))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    let sqlite = names("sqlite")?;
    assert_eq!(sqlite, names("postgres")?);
    assert!(!sqlite.is_empty());
    let steps = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations.rs"))?;
    for name in &sqlite {
        for engine in ["sqlite", "postgres"] {
            assert!(steps.contains(&format!("migrations/{engine}/{name}")), "{engine}/{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_trail_refuses_changes_and_removals() -> TestResult {
    const INSERT: &str = "
        insert into audit (tenant, id, at, action, object, detail)
        values ('fire', $1, 1, 'a', 'b', 'c')";
    const FORBIDDEN: [&str; 2] = ["update audit set action = 'x'", "delete from audit"];
    let sqlite = testing::sqlite().await?;
    let mut conn = SqliteConnection::connect(&sqlite.options.url).await?;
    sqlx::query(INSERT).bind(uuid::Uuid::nil()).execute(&mut conn).await?;
    for sql in FORBIDDEN {
        let refused = sqlx::query(sql).execute(&mut conn).await.expect_err(sql).to_string();
        assert!(refused.contains("append only"), "{refused}");
    }
    let postgres = testing::postgres().await?;
    let mut conn = PgConnection::connect(&postgres.options.url).await?;
    sqlx::query(INSERT).bind(uuid::Uuid::nil()).execute(&mut conn).await?;
    for sql in FORBIDDEN {
        let refused = sqlx::query(sql).execute(&mut conn).await.expect_err(sql).to_string();
        assert!(refused.contains("append only"), "{refused}");
    }
    Ok(())
}
