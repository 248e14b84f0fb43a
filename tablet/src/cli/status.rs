//! How the tablet stands: what waits, since when, and what the server said last.

use super::out::{json, say};
use anyhow::Result;
use indicatif::HumanBytes;
use serde::Serialize;
use std::collections::BTreeMap;
use sync_protocol::clock::{Instant, UnixMillis};
use sync_protocol::id::{
    ChangeId, DeviceId, EpochId, LeaseId, RecordId, ReplicaId, Tenant, UserId,
};
use sync_protocol::replica::{BlobState, Phase};
use sync_protocol::wire::Status;
use tablet::Tablet;

#[derive(Serialize)]
struct Standing {
    server: String,
    tenant: Tenant,
    device: DeviceId,
    user: UserId,
    replica: ReplicaId,
    lease: Option<LeaseId>,
    epoch: Option<EpochId>,
    synced_at: Option<Instant>,
    unsent: usize,
    unsent_media: usize,
    unsent_media_bytes: u64,
    oldest_unsent_at: Option<Instant>,
    oldest_unsent_s: Option<i64>,
    quarantined: Vec<Quarantined>,
    records: usize,
    buckets: BTreeMap<String, Phase>,
}

#[derive(Serialize)]
struct Quarantined {
    change: ChangeId,
    rec: RecordId,
    code: Option<&'static str>,
}

pub(super) fn status(tablet: &Tablet, as_json: bool) -> Result<()> {
    let standing = standing(tablet);
    if as_json {
        return json(&standing);
    }
    let profile = tablet.profile();
    say(format_args!("{} of {} at {}", profile.user_name, standing.tenant, standing.server));
    match (standing.unsent, standing.oldest_unsent_s) {
        (0, _) | (_, None) => say("Nothing waits to be sent."),
        (n, Some(age)) => say(format_args!("{n} changes wait to be sent, the oldest for {age} s.")),
    }
    if standing.unsent_media > 0 {
        say(format_args!(
            "Photos and videos that wait: {}, {}; `genba-tablet uploads` tells why.",
            standing.unsent_media,
            HumanBytes(standing.unsent_media_bytes)
        ));
    }
    match standing.synced_at {
        Some(at) => say(format_args!("Last synced at {} by the server's clock.", at.0)),
        None => say("Never synced."),
    }
    for held in &standing.quarantined {
        let code = held.code.unwrap_or("unknown");
        say(format_args!(
            "In quarantine ({code}): change {} of record {}. A supervisor looks at it.",
            held.change, held.rec
        ));
    }
    say(format_args!("{} records here.", standing.records));
    for (bucket, phase) in &standing.buckets {
        let words = match phase {
            Phase::Held => "complete",
            Phase::Paging { .. } => "on its way",
            Phase::Anew => "to be fetched anew",
            Phase::Leaving => "not granted any more, to be erased",
        };
        say(format_args!("  {bucket}: {words}"));
    }
    let lease = standing.lease.map_or("none yet".to_owned(), |lease| lease.to_string());
    say(format_args!("Device {}, replica {}, lease {lease}.", standing.device, standing.replica));
    Ok(())
}

/// The bytes of the photos and videos that the server is still to get, also of records that are not shown any more.
fn unsent_bytes(tablet: &Tablet) -> u64 {
    let unsent = tablet.replica().blobs().filter(|own| match own.state {
        BlobState::Waiting | BlobState::Needed | BlobState::Uploaded => true,
        BlobState::Had | BlobState::Lost => false,
    });
    unsent.map(|own| own.blob.bytes).sum()
}

fn standing(tablet: &Tablet) -> Standing {
    let replica = tablet.replica();
    let profile = tablet.profile();
    let now = tablet.clock().read().now.0;
    let waiting = replica.own_changes().filter(|own| own.waits);
    let oldest: Option<UnixMillis> = waiting.filter_map(|own| own.change).map(|c| c.at).min();
    let quarantined = replica.own_changes().filter(|own| !own.sealed).filter_map(|own| {
        let outcome = own.outcome.filter(|outcome| outcome.status == Status::Quarantined)?;
        let code = outcome.code.map(sync_protocol::change::Code::as_str);
        Some(Quarantined { change: own.id, rec: own.rec, code })
    });
    Standing {
        server: profile.server.clone(),
        tenant: profile.tenant.clone(),
        device: profile.device,
        user: profile.user,
        replica: replica.replica_id(),
        lease: replica.lease(),
        epoch: replica.epoch(),
        synced_at: replica.synced_at().map(Instant),
        unsent: replica.outbox_len(),
        unsent_media: replica.unsent_blobs(),
        unsent_media_bytes: unsent_bytes(tablet),
        oldest_unsent_at: oldest.map(Instant),
        oldest_unsent_s: oldest.map(|at| now.since(at).max(0) / 1_000),
        quarantined: quarantined.collect(),
        records: replica.records().count(),
        buckets: replica.buckets().map(|(b, phase)| (b.to_string(), phase.clone())).collect(),
    }
}
