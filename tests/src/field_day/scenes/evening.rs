//! Evening: every tablet holds what its user may hold, in the server's revision.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::world::World;
use anyhow::Result;
use std::collections::BTreeMap;
use sync_protocol::id::{RecordId, Seq};

/// Whose tablet is compared with whose desk, and over which buckets.
const COMPARED: [(&str, &str, &[&str]); 7] = [
    ("fire", "st-f1", &["everyone", "station:fs-south"]),
    ("fire", "st-f3", &["everyone", "station:fs-south"]),
    ("fire", "st-f4", &["everyone", "station:fs-north"]),
    ("sanitation", "st-h1", &["everyone", "area:hc-1"]),
    ("sanitation", "st-h4", &["everyone", "area:hc-1"]),
    ("welfare", "st-w1", &["everyone", "caseload:A", "safety:A"]),
    ("welfare", "st-w2", &["everyone", "caseload:B", "safety:B"]),
];

pub(super) async fn play(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    book.scene("夕方 Evening: the tablets and the server agree");
    for (tenant, login, buckets) in COMPARED {
        let crew = tablets.of(login)?;
        crew.sync().await?;
        let office = world.office(tenant, login).await?;
        let mut there: BTreeMap<RecordId, i64> = BTreeMap::new();
        for bucket in buckets {
            there.extend(World::listed(&office, bucket).await?);
        }
        let replica = crew.tablet()?.replica();
        let rv = |rec: RecordId| replica.rv(rec).unwrap_or(Seq(0)).0;
        let here: BTreeMap<RecordId, i64> = replica.records().map(|rec| (rec, rv(rec))).collect();
        let differs = here.iter().filter(|pair| !there.iter().any(|other| other == *pair)).count();
        let words = format!(
            "{login}: {} records, the same as on the server, revision by revision; nothing waits",
            there.len()
        );
        book.claim(&words, (here.len(), differs, replica.outbox_len()), (there.len(), 0, 0));
    }
    for tenant in ["fire", "sanitation", "welfare"] {
        let login = match tenant {
            "fire" => "st-f2",
            "sanitation" => "st-h2",
            _ => "st-w3",
        };
        let waiting = world.office(tenant, login).await?.get("/v1/quarantine").await?;
        book.claim(
            &format!("{tenant}: nothing lies in quarantine"),
            waiting["changes"].as_array().map(Vec::len),
            Some(0),
        );
    }
    Ok(())
}
