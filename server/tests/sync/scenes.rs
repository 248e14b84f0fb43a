//! Scenes in which several tests play, and the words in which they speak.

use crate::support::{Answer, Draft, NORTH, SOUTH, Tablet, TestResult, World, items, records, set};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::form::Role;
use sync_protocol::wire::bucket_sum;

impl World {
    pub(crate) async fn sync_head(&self, tablet: &mut Tablet) -> i64 {
        tablet.sync(self, &[]).await;
        self.head().await.unwrap_or_default()
    }

    pub(crate) async fn release(&self, who: &Tablet, result: &Value) -> Answer {
        let q = result["q"].as_str().unwrap_or_default();
        self.post(who, &format!("/v1/quarantine/{q}/release"), &json!({ "why": "looked at" })).await
    }

    pub(crate) async fn close(&self, who: &Tablet, result: &Value) -> Answer {
        let q = result["q"].as_str().unwrap_or_default();
        self.post(who, &format!("/v1/quarantine/{q}/close"), &json!({ "why": "not ours" })).await
    }
}

impl World {
    pub(crate) async fn edit(&self, who: &Tablet, rec: &str, body: &Value) -> Answer {
        self.post(who, &format!("/v1/records/{rec}/changes"), body).await
    }
}

pub(crate) async fn visited(world: &World) -> TestResult<(Tablet, Draft)> {
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(world, &[&visit]).await;
    Ok((mori, visit))
}

pub(crate) async fn station_of(world: &World) -> TestResult<Tablet> {
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    world.grant(boss.user, NORTH, Role::Supervisor).await?;
    Ok(boss)
}

pub(crate) fn note_about(world: &World, who: &Tablet, rec: &str) -> Draft {
    let ops = json!([{ "o": "new", "about": rec }, set("text", "t", &[])]);
    world.draft(who, &world.id(), ops).with(json!({ "type": "note" }))
}

/// A tablet that keeps what it is given, as ids and revisions by bucket.
#[derive(Default)]
pub(crate) struct Held(pub(crate) BTreeMap<String, (i64, BTreeSet<String>)>);

impl Held {
    pub(crate) fn take(&mut self, answer: &Value) {
        for (rec, record) in records(answer) {
            let buckets = items(&record["in"]);
            let buckets = buckets.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            self.0.insert(rec, (record["rv"].as_i64().unwrap_or_default(), buckets));
        }
        for leave in items(&answer["leave"]) {
            let bucket = leave["bucket"].as_str().unwrap_or_default();
            for (rec, (_, buckets)) in &mut self.0 {
                if leave["rec"].is_null() || leave["rec"] == **rec {
                    buckets.remove(bucket);
                }
            }
        }
        self.0.retain(|_, (_, buckets)| !buckets.is_empty());
    }

    pub(crate) fn sum(&self, bucket: &str) -> TestResult<Value> {
        let here = self.0.iter().filter(|(_, (_, buckets))| buckets.contains(bucket));
        let pairs: Result<Vec<_>, _> = here
            .map(|(rec, (rv, _))| rec.parse().map(|rec| (rec, sync_protocol::id::Seq(*rv))))
            .collect();
        Ok(serde_json::to_value(bucket_sum(bucket.parse()?, pairs?))?)
    }
}

/// An inspector with so many visits on the server.
pub(crate) async fn with_visits(world: &World, count: usize) -> TestResult<(Tablet, Vec<Draft>)> {
    let mut mori = world.inspector("mori").await?;
    let visits: Vec<Draft> = (0..count).map(|_| world.new_visit(&mori, SOUTH)).collect();
    for some in visits.chunks(100) {
        mori.sync(world, &some.iter().collect::<Vec<_>>()).await;
    }
    Ok((mori, visits))
}

/// A fresh tablet of the same user.
pub(crate) async fn second(world: &World, first: &Tablet) -> TestResult<Tablet> {
    world.tablet(first.user).await
}

pub(crate) async fn sync_with(world: &World, tablet: &mut Tablet, want: Value) -> Value {
    let mut envelope = tablet.envelope(world);
    envelope["want"] = want;
    let answer = world.post_sync(tablet, envelope.to_string()).await.ok();
    tablet.take(&answer);
    answer
}

impl World {
    pub(crate) async fn relocate(&self, who: &Tablet, rec: &str, to: &[&str]) -> Value {
        self.post(who, &format!("/v1/records/{rec}/move"), &json!({ "to": to })).await.ok()
    }
}

/// A supervisor of both stations, and an inspector whose tablet holds both.
pub(crate) async fn two_stations(world: &World) -> TestResult<(Tablet, Tablet)> {
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    world.grant(boss.user, NORTH, Role::Supervisor).await?;
    let mori = world.inspector("mori").await?;
    world.grant(mori.user, NORTH, Role::Inspector).await?;
    Ok((boss, mori))
}
