//! Leases, attempts, forks, gaps, `known`, epochs and `durable`: sync.md 2.1.

use crate::support::{
    Answer, SOUTH, Tablet, TestResult, World, outcomes, set, tenant, with_changes,
};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use server::admin::{Actor, tenants};
use storage::Store;
use sync_protocol::id::{EpochId, Seq};
use uuid::Uuid;

storage::on_both!(
    a_lease_moves_on_with_each_new_attempt,
    the_same_request_again_changes_nothing,
    the_same_request_at_the_same_time_is_one,
    tablets_at_the_same_time_lose_nothing_to_each_other,
    another_attempt_with_an_old_lease_is_a_fork,
    a_replica_belongs_to_its_device,
    a_clone_is_found_at_its_next_new_attempt,
    a_refused_request_moves_no_lease,
    known_tells_the_last_number_without_a_gap,
    a_number_sent_again_with_other_content_is_a_fork,
    a_new_replica_offers_everything_again,
    the_epoch_is_checked_before_anything_else,
    a_new_epoch_voids_every_lease,
    a_cursor_above_the_head_proves_a_rollback,
    another_change_at_the_cursor_proves_a_rollback,
    an_old_cursor_alone_begins_no_epoch,
    durable_is_what_the_last_backup_holds,
);

async fn a_lease_moves_on_with_each_new_attempt(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(tablet.sync(&world, &[]).await["lease"].clone());
    }
    leases.dedup();
    assert_eq!(leases.len(), 3);
    Ok(())
}

async fn the_same_request_again_changes_nothing(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    for round in 0..2 {
        let visit = world.new_visit(&tablet, SOUTH);
        let mut envelope = tablet.envelope(&world);
        envelope["purged"] = json!([{ "bucket": "station:gone", "at": 3 }]);
        let request = with_changes(&envelope, &[visit.text()]);
        let first = world.post_sync(&tablet, &*request).await.ok();
        let head = world.head().await?;
        for _ in 0..2 {
            let again = world.post_sync(&tablet, &*request).await.ok();
            assert_eq!(again["lease"], first["lease"], "round {round}");
            assert_eq!(again["known"], first["known"]);
            assert_eq!(outcomes(&again), ["dup ok"]);
            assert_eq!(again["results"][0]["seq"], first["results"][0]["seq"]);
            assert_eq!(world.head().await?, head, "no seq was assigned");
        }
        tablet.take(&first);
        tablet.next += 1;
    }
    Ok(())
}

async fn the_same_request_at_the_same_time_is_one(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    for round in 0..3 {
        let visit = world.new_visit(&tablet, SOUTH);
        let request = tablet.request(&world, &[visit.text()]);
        let calls = (0..8).map(|_| world.post_sync(&tablet, &*request));
        let answers: Vec<Value> =
            futures_util::future::join_all(calls).await.into_iter().map(Answer::ok).collect();
        let fresh = answers.iter().filter(|answer| outcomes(answer) == ["ok"]).count();
        assert_eq!(fresh, 1, "the others are told that it is known");
        assert!(answers.iter().all(|answer| answer["lease"] == answers[0]["lease"]));
        assert!(answers.iter().all(|answer| answer["known"]["n"] == round + 1));
        assert_eq!(world.head().await?, round + 1);
        tablet.take(&answers[0]);
        tablet.next += 1;
    }
    Ok(())
}

async fn tablets_at_the_same_time_lose_nothing_to_each_other(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut first = world.inspector("mori").await?;
    let visit = world.new_visit(&first, SOUTH);
    first.sync(&world, &[&visit]).await;
    let mut requests = Vec::new();
    for i in 0..8 {
        let tablet = world.tablet(first.user).await?;
        let edit = world.draft(&tablet, &visit.rec(), json!([set("opinion", i, &[])]));
        let new = world.new_visit(&tablet, SOUTH);
        // One of them is refused; that is no other's trouble.
        let texts = [edit.text(), new.text()];
        let mut envelope = tablet.envelope(&world);
        if i == 3 {
            envelope["push"]["from"] = json!(7);
        }
        requests.push((tablet, with_changes(&envelope, &texts)));
    }
    let calls = requests.iter().map(|(tablet, request)| world.post_sync(tablet, &**request));
    let answers = futures_util::future::join_all(calls).await;
    for (i, answer) in answers.into_iter().enumerate() {
        if i == 3 {
            answer.refused(409, "gap");
        } else {
            assert_eq!(outcomes(&answer.ok()), ["ok", "ok"]);
        }
    }
    assert_eq!(world.head().await?, 15);
    let shown = world.record(&first, &visit.rec()).await;
    let versions = shown["view"]["fields"]["opinion"]["versions"].as_array().map(Vec::len);
    assert_eq!(versions, Some(7), "nobody's value is lost");
    Ok(())
}

async fn another_attempt_with_an_old_lease_is_a_fork(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let fresh = tablet.clone();
    tablet.sync(&world, &[]).await;
    let behind = tablet.clone();
    tablet.sync(&world, &[]).await;
    for (old, why) in [(&fresh, "a null lease of a known replica"), (&behind, "the lease before")] {
        let answer = world.post_sync(old, old.request(&world, &[])).await;
        assert_eq!(answer.problem(), (409, "replica-forked".to_owned()), "{why}");
    }
    let mut forged = tablet.clone();
    for lease in [json!(world.id()), Value::Null] {
        forged.lease = lease;
        world.post_sync(&forged, forged.request(&world, &[])).await.refused(409, "replica-forked");
    }
    forged.replica = world.id();
    forged.lease = json!(world.id());
    world.post_sync(&forged, forged.request(&world, &[])).await.refused(409, "replica-forked");
    tablet.sync(&world, &[]).await;
    Ok(())
}

async fn a_replica_belongs_to_its_device(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.sync(&world, &[]).await;
    let mut hara = world.inspector("hara").await?;
    hara.replica.clone_from(&mori.replica);
    for lease in [Value::Null, mori.lease.clone()] {
        hara.lease = lease;
        world.post_sync(&hara, hara.request(&world, &[])).await.refused(409, "replica-forked");
    }
    mori.sync(&world, &[]).await;
    Ok(())
}

async fn a_clone_is_found_at_its_next_new_attempt(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    tablet.sync(&world, &[]).await;
    let clone = tablet.clone();
    let visit = world.new_visit(&tablet, SOUTH);
    tablet.sync(&world, &[&visit]).await;
    let other = world.new_visit(&clone, SOUTH);
    let answer = world.post_sync(&clone, clone.request(&world, &[other.text()])).await;
    answer.refused(409, "replica-forked");
    Ok(())
}

async fn a_refused_request_moves_no_lease(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    tablet.sync(&world, &[]).await;
    let visit = world.new_visit(&tablet, SOUTH);
    let mut ahead = tablet.clone();
    for from in [3, 0, -1, i64::MAX, i64::MIN] {
        ahead.next = from;
        let answer = world.post_sync(&ahead, ahead.request(&world, &[visit.text()])).await;
        answer.refused(409, "gap");
        assert_eq!(answer.json()["known"], json!({ "n": 0, "id": null }), "{from}");
        let empty = world.post_sync(&ahead, ahead.request(&world, &[])).await;
        empty.refused(409, "gap");
    }
    assert_eq!(world.head().await?, 0);
    assert_eq!(outcomes(&tablet.sync(&world, &[&visit]).await), ["ok"]);
    Ok(())
}

async fn known_tells_the_last_number_without_a_gap(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let visit = world.new_visit(&tablet, SOUTH);
    let edit = world.draft(&tablet, &visit.rec(), json!([set("opinion", "a", &[])]));
    let answer = tablet.sync(&world, &[&visit, &edit]).await;
    assert_eq!(answer["known"], json!({ "n": 2, "id": edit.id() }));
    assert_eq!(answer["results"][1]["n"], 2);
    // A result that got lost is asked for again: `from` may lie below `known`.
    tablet.next = 2;
    let third = world.draft(&tablet, &visit.rec(), json!([set("grade", "minor", &[])]));
    let answer = tablet.sync(&world, &[&edit, &third]).await;
    assert_eq!(outcomes(&answer), ["dup ok", "ok"]);
    assert_eq!(answer["known"], json!({ "n": 3, "id": third.id() }));
    // A text without a readable id is received too, and `known` says so.
    let answer = tablet.sync_texts(&world, &["7".to_owned()]).await;
    assert_eq!(answer["known"], json!({ "n": 4, "id": null }));
    assert_eq!(answer["results"][0]["id"], Value::Null);
    Ok(())
}

async fn a_number_sent_again_with_other_content_is_a_fork(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let visit = world.new_visit(&tablet, SOUTH);
    tablet.sync(&world, &[&visit]).await;
    let head = world.head().await?;
    tablet.next = 1;
    let other = world.new_visit(&tablet, SOUTH);
    let altered = visit.with(json!({ "sv": 4 }));
    for wrong in [&other, &altered] {
        let texts = [wrong.text(), world.new_visit(&tablet, SOUTH).text()];
        let answer = world.post_sync(&tablet, tablet.request(&world, &texts)).await;
        answer.refused(409, "replica-forked");
    }
    assert_eq!(world.head().await?, head, "nothing of such a push is taken");
    assert_eq!(outcomes(&tablet.sync(&world, &[&visit]).await), ["dup ok"]);
    Ok(())
}

async fn a_new_replica_offers_everything_again(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let visit = world.new_visit(&tablet, SOUTH);
    let foreign = world.draft(&tablet, &world.id(), json!([set("title", "x", &[])]));
    let first = tablet.sync(&world, &[&visit, &foreign]).await;
    let head = world.head().await?;
    tablet.replica = world.id();
    tablet.lease = Value::Null;
    tablet.next = 1;
    let again = tablet.sync(&world, &[&visit, &foreign]).await;
    assert_eq!(outcomes(&again), ["dup ok", "dup quarantined forbidden"]);
    for (was, is) in [0, 1].map(|i| (&first["results"][i], &again["results"][i])) {
        for member in ["seq", "t_eff", "q", "code"] {
            assert_eq!(was[member], is[member], "{member}");
        }
    }
    assert_eq!(again["known"], json!({ "n": 2, "id": foreign.id() }));
    assert_eq!(world.head().await?, head);
    Ok(())
}

async fn the_epoch_is_checked_before_anything_else(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let answer = tablet.sync(&world, &[]).await;
    let mut lost = tablet.clone();
    lost.epoch = json!(world.id());
    let wrongs: [fn(&mut Tablet); 4] = [
        |_| (),
        |tablet| tablet.lease = Value::Null,
        |tablet| tablet.next = 99,
        |tablet| tablet.cursor = json!("nonsense"),
    ];
    for wrong in wrongs {
        wrong(&mut lost);
        let refused = world.post_sync(&lost, lost.request(&world, &[])).await;
        refused.refused(409, "epoch-changed");
        assert_eq!(refused.json()["epoch"], answer["epoch"]);
    }
    tablet.sync(&world, &[]).await;
    Ok(())
}

/// What a restore does.
async fn new_epoch(world: &World) -> TestResult {
    let mut tx = world.state.store.write().await?;
    let epoch = EpochId(world.id().parse()?);
    server::sync::command::new_epoch(&mut tx, &tenant("fire"), epoch).await?;
    Ok(tx.commit().await?)
}

async fn a_new_epoch_voids_every_lease(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let visit = world.new_visit(&tablet, SOUTH);
    let first = tablet.sync(&world, &[&visit]).await;
    new_epoch(&world).await?;
    let refused = world.post_sync(&tablet, tablet.request(&world, &[])).await;
    refused.refused(409, "epoch-changed");
    tablet.epoch = refused.json()["epoch"].clone();
    assert_ne!(tablet.epoch, first["epoch"]);
    tablet.cursor = Value::Null;
    let forked = world.post_sync(&tablet, tablet.request(&world, &[])).await;
    forked.refused(409, "replica-forked");
    tablet.replica = world.id();
    tablet.lease = Value::Null;
    tablet.next = 1;
    assert_eq!(outcomes(&tablet.sync(&world, &[&visit]).await), ["dup ok"]);
    Ok(())
}

async fn a_cursor_above_the_head_proves_a_rollback(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    tablet.sync(&world, &[&world.new_visit(&tablet, SOUTH)]).await;
    let head = world.head().await?;
    tablet.cursor = cursor(&world, &tablet, head + 1, &world.id()).await?;
    let refused = world.post_sync(&tablet, tablet.request(&world, &[])).await;
    refused.refused(409, "epoch-changed");
    assert_ne!(refused.json()["epoch"], tablet.epoch, "a new epoch began");
    let again = world.post_sync(&tablet, tablet.request(&world, &[])).await;
    again.refused(409, "epoch-changed");
    assert_eq!(again.json()["epoch"], refused.json()["epoch"], "and only one");
    Ok(())
}

async fn another_change_at_the_cursor_proves_a_rollback(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let visit = world.new_visit(&tablet, SOUTH);
    tablet.sync(&world, &[&visit]).await;
    tablet.cursor = cursor(&world, &tablet, 1, &visit.id()).await?;
    tablet.sync(&world, &[]).await;
    tablet.cursor = cursor(&world, &tablet, 1, &world.id()).await?;
    let refused = world.post_sync(&tablet, tablet.request(&world, &[])).await;
    refused.refused(409, "epoch-changed");
    assert_ne!(refused.json()["epoch"], tablet.epoch);
    Ok(())
}

/// The cursor that the tablet would have had from a history that went another way.
async fn cursor(world: &World, tablet: &Tablet, at: i64, id: &str) -> TestResult<Value> {
    let epoch: Uuid = tablet.epoch.as_str().ok_or("an epoch")?.parse()?;
    let mut tx = world.state.store.write().await?;
    let secret = tx.secrets().get_or_insert("cursor", b"").await?;
    drop(tx);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let mac = |body: &[u8]| {
        let signed = [&b"cursor"[..], tablet.device.0.as_bytes(), body].concat();
        hmac::sign(&key, &signed).as_ref()[..16].to_vec()
    };
    // In letters, or in bytes: as the tablet's own cursor is written.
    if tablet.cursor.as_str().is_some_and(|own| own.contains('.')) {
        let body = format!("{epoch}.{at}.{at}.{id}");
        let mac = URL_SAFE_NO_PAD.encode(mac(body.as_bytes()));
        return Ok(json!(format!("{body}.{mac}")));
    }
    let mut body = epoch.as_bytes().to_vec();
    body.extend([at.to_be_bytes(), at.to_be_bytes()].concat());
    body.extend(id.parse::<Uuid>()?.as_bytes());
    let mac = mac(&body);
    body.extend(mac);
    Ok(json!(URL_SAFE_NO_PAD.encode(body)))
}

async fn an_old_cursor_alone_begins_no_epoch(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    tablet.sync(&world, &[&world.new_visit(&tablet, SOUTH)]).await;
    tablet.drain(&world).await;
    new_epoch(&world).await?;
    let mut confused = tablet.clone();
    confused.replica = world.id();
    confused.lease = Value::Null;
    confused.next = 1;
    let mut epochs = Vec::new();
    for epoch in [Value::Null, tablet.epoch.clone()] {
        confused.epoch = epoch;
        let refused = world.post_sync(&confused, confused.request(&world, &[])).await;
        refused.refused(409, "epoch-changed");
        epochs.push(refused.json()["epoch"].clone());
    }
    assert_eq!(epochs.first(), epochs.last(), "the cursor of another epoch proves nothing");
    Ok(())
}

async fn durable_is_what_the_last_backup_holds(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut tablet = world.inspector("mori").await?;
    let visit = world.new_visit(&tablet, SOUTH);
    let foreign = world.draft(&tablet, &world.id(), json!([set("title", "x", &[])]));
    let answer = tablet.sync(&world, &[&visit, &foreign]).await;
    assert_eq!(answer["durable"], Value::Null, "no backup was ever reported");
    let actor = Actor { tenant: tenant("fire"), user: None };
    for (seq, durable) in [(0, 0), (1, 1), (2, 2)] {
        tenants::backup_done(&world.state, &actor, Seq(seq)).await?;
        assert_eq!(tablet.sync(&world, &[]).await["durable"], durable, "backup up to {seq}");
    }
    let edit = world.draft(&tablet, &visit.rec(), json!([set("opinion", "a", &[])]));
    assert_eq!(tablet.sync(&world, &[&edit]).await["durable"], 2);
    Ok(())
}
