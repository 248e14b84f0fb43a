//! The city loads into an empty database, and stands there as its files tell it.

use anyhow::{Context as _, Result};
use genba_tests::field_day::{load, story};
use serde_json::Value;
use server::admin::{Actor, import};
use server::state::AppState;
use server::sync::reading;
use std::path::PathBuf;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Tenant;

/// A folder that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("genba-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

struct Loaded {
    state: AppState,
    city: load::City,
    _folder: Folder,
}

async fn loaded(name: &str) -> Result<Loaded> {
    let folder = Folder::new(name)?;
    let now = UnixMillis::parse("2026-11-23T03:00:00.000Z").context("an instant")?;
    let city = load::load(&folder.0, now).await?;
    Ok(Loaded { state: load::open(&folder.0).await?, city, _folder: folder })
}

impl Loaded {
    async fn shown(&self, tenant: &str, login: &str, record: &str) -> Result<Value> {
        let user = self.city.user(tenant, login)?;
        let tenant: Tenant = tenant.parse()?;
        let rec = import::record_id(&tenant, record);
        Ok(reading::show(&self.state, &tenant, user, rec).await?)
    }
}

#[tokio::test]
async fn every_situation_of_the_city_stands_in_the_database() -> Result<()> {
    let loaded = loaded("story").await?;
    let status = |shown: &Value| shown["view"]["fields"]["status"]["shown"]["to"].clone();

    let sealed = loaded.shown("fire", "pos-station-chief", "fire_inspection:fi-p02").await?;
    assert_eq!(status(&sealed), "plan_reported");
    assert!(sealed["state"]["seal"].is_object(), "{}", sealed["state"]);
    assert_eq!(story::beside(&sealed)?.len(), 0);

    let waiting = loaded.shown("fire", "pos-prev-chief", "fire_inspection:fi-p08").await?;
    assert_eq!(status(&waiting), "notice_issued");
    assert_eq!(story::beside(&waiting)?.len(), 1);

    let returned = loaded.shown("welfare", "pos-wel-chief", "case_visit:cv-hh08").await?;
    assert!(returned["state"]["seal"].is_null(), "{}", returned["state"]);
    let acting = loaded.shown("welfare", "pos-wel-chief", "case_visit:cv-hh09").await?;
    assert!(acting["state"]["seal"].is_object(), "{}", acting["state"]);

    let outbreak = loaded.shown("sanitation", "st-h2", "sanitation_inspection:si-f08").await?;
    assert_eq!(outbreak["view"]["lists"]["outbreak"]["rows"].as_array().map(Vec::len), Some(5));
    assert_eq!(outbreak["conflicts"], Value::Array(Vec::new()));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_imported_twice_changes_nothing() -> Result<()> {
    let loaded = loaded("twice").await?;
    let tenant: Tenant = "fire".parse()?;
    let bureau = loaded.city.bureaus.get("fire").context("fire")?;
    let rows = story::first_rows(&bureau.records)?;
    let operator = Actor { tenant: tenant.clone(), user: None };

    let again = import::import(&loaded.state, &operator, &rows).await?;
    assert_eq!((again.made.len(), again.passed, again.quarantined), (0, rows.len(), 0));
    assert_eq!(again.vanished, []);

    let (gone, rest) = rows.split_last().context("rows")?;
    let fewer: Vec<_> =
        rest.iter().filter(|row| row.name() != "fire_prevention_property:p-11").cloned().collect();
    let fewer = import::import(&loaded.state, &operator, &fewer).await?;
    let p11 = import::record_id(&tenant, "fire_prevention_property:p-11");
    assert!(fewer.vanished.contains(&p11), "{:?}", fewer.vanished);
    assert_eq!(gone.kind, "fire_inspection");
    Ok(())
}

#[tokio::test]
async fn a_row_of_a_known_record_sets_what_differs_and_nothing_else() -> Result<()> {
    let loaded = loaded("differs").await?;
    let tenant: Tenant = "fire".parse()?;
    let operator = Actor { tenant: tenant.clone(), user: None };
    let row = serde_json::json!({
        "type": "fire_prevention_property", "key": "p-11", "by": "st-f2",
        "fields": { "name": "例示倉庫", "capacity": 14 }, "rows": { "equipment": [{ "id": "p-11-e1", "place": "庫内 入口" }] },
    });
    let done = import::import(&loaded.state, &operator, &[serde_json::from_value(row)?]).await?;
    assert_eq!(done.made.len(), 1);
    let shown = loaded.shown("fire", "st-f2", "fire_prevention_property:p-11").await?;
    assert_eq!(shown["view"]["fields"]["capacity"]["shown"], 14);
    assert_eq!(shown["view"]["fields"]["capacity"]["mark"], "agreed");
    assert_eq!(
        shown["view"]["lists"]["equipment"]["rows"][0]["cells"]["place"]["shown"],
        "庫内 入口"
    );
    assert_eq!(shown["view"]["lists"]["equipment"]["rows"].as_array().map(Vec::len), Some(2));
    let user = loaded.city.user("fire", "st-f2")?;
    let rec = import::record_id(&tenant, "fire_prevention_property:p-11");
    let history =
        reading::history(&loaded.state, &tenant, user, rec, sync_protocol::id::Seq(0), 50).await?;
    let history = serde_json::to_value(history)?;
    let ops = history["changes"][1]["change"]["ops"].as_array().context("ops")?;
    assert_eq!(ops.len(), 2, "{ops:?}");
    Ok(())
}

#[tokio::test]
async fn a_row_that_cannot_be_taken_is_named_and_nothing_of_it_is_stored() -> Result<()> {
    let loaded = loaded("bad-rows").await?;
    let operator = Actor { tenant: "fire".parse()?, user: None };
    let cases = [
        (
            serde_json::json!({"type":"staff","key":"x","in":"everyone","by":"nobody"}),
            "nobody is called",
        ),
        (serde_json::json!({"type":"no_such","key":"x","in":"everyone","by":"st-f2"}), "no form"),
        (serde_json::json!({"type":"staff","key":"x","by":"st-f2"}), "does not say where it lies"),
        (
            serde_json::json!({"type":"staff","key":"x","in":"everyone","about":"staff:y","by":"st-f2"}),
            "not both",
        ),
        (
            serde_json::json!({"type":"staff","key":"x","in":"everyone","by":"st-f2","fields":{"a b":1}}),
            "not a field",
        ),
        (
            serde_json::json!({"type":"staff","key":"x","in":"everyone","by":"st-f2","rows":{"q":[{"kind":"k"}]}}),
            "has no id",
        ),
    ];
    for (row, expected) in cases {
        let told = format!("{row}");
        let refused =
            import::import(&loaded.state, &operator, &[serde_json::from_value(row)?]).await;
        let refused = format!("{:?}", refused.err().context(told)?);
        assert!(refused.contains(expected), "{refused} does not say {expected}");
    }
    Ok(())
}
