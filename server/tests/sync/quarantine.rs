//! How a quarantined change comes out again, and at whose word: sync.md 2.8.

use crate::support::{
    Draft, NORTH, SOUTH, TestResult, World, items, outcome, outcomes, set, tenant,
};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    a_supervisor_of_the_place_releases,
    releasing_tries_what_came_later,
    a_closed_change_stays_known,
    nobody_else_releases_or_closes,
    what_claims_no_place_is_for_the_unplaced_inbox,
    the_inbox_has_pages_and_states,
);

async fn a_supervisor_of_the_place_releases(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("decision", "yes", &[])]));
    let waiting = mori.push(&world, &edit).await;
    assert_eq!(outcome(&waiting), "quarantined forbidden");
    let open = world.get(&boss, "/v1/quarantine").await.ok();
    let row = &open["changes"][0];
    assert_eq!(
        (&row["q"], &row["code"], &row["text"]),
        (&waiting["q"], &json!("forbidden"), &json!(edit.text()))
    );
    world.release(&boss, &waiting).await.ok();
    world.release(&boss, &waiting).await.ok();
    assert_eq!(world.head().await?, 3, "a second release changes nothing");
    world.close(&boss, &waiting).await.refused(409, "conflict");
    assert_eq!(outcome(&mori.push(&world, &edit).await), "dup ok");
    let shown = world.record(&boss, &visit.rec()).await;
    assert_eq!(shown["view"]["fields"]["decision"]["shown"], "yes");
    Ok(())
}

async fn releasing_tries_what_came_later(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let new = world.new_visit(&mori, NORTH);
    let edit = world.draft(&mori, &new.rec(), json!([set("opinion", "a", &[])]));
    let reused = edit.with(json!({ "sv": 1 }));
    let first = mori.sync(&world, &[&new, &edit, &reused]).await;
    assert_eq!(
        outcomes(&first),
        ["quarantined forbidden", "quarantined forbidden", "quarantined id_reuse"]
    );
    world.grant(boss.user, NORTH, Role::Supervisor).await?;
    world.grant(mori.user, NORTH, Role::Inspector).await?;
    world.release(&boss, &first["results"][0]).await.ok();
    mori.next = 1;
    let again = mori.sync(&world, &[&new, &edit, &reused]).await;
    assert_eq!(outcomes(&again), ["dup ok", "dup ok", "dup quarantined id_reuse"]);
    world.close(&boss, &again["results"][2]).await.ok();
    mori.next = 1;
    assert_eq!(
        outcomes(&mori.sync(&world, &[&new, &edit, &reused]).await)[2],
        "dup closed id_reuse"
    );
    Ok(())
}

async fn a_closed_change_stays_known(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("decision", "yes", &[])]));
    let waiting = mori.push(&world, &edit).await;
    world.close(&boss, &waiting).await.ok();
    world.close(&boss, &waiting).await.ok();
    world.release(&boss, &waiting).await.refused(409, "conflict");
    let mut envelope = mori.envelope(&world);
    envelope["open"] = json!([edit.id()]);
    let answer = world.post_sync(&mori, envelope.to_string()).await.ok();
    assert_eq!(outcomes(&answer), ["closed forbidden"]);
    assert_eq!(answer["results"][0]["q"], waiting["q"]);
    mori.take(&answer);
    let again = mori.push(&world, &edit).await;
    assert_eq!(outcome(&again), "dup closed forbidden");
    assert_eq!((&again["q"], &again["seq"]), (&waiting["q"], &waiting["seq"]));
    Ok(())
}

async fn nobody_else_releases_or_closes(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("decision", "yes", &[])]));
    let waiting = mori.push(&world, &edit).await;
    let elsewhere = world.person("sato", NORTH, Role::Supervisor).await?;
    let approver = world.person("abe", SOUTH, Role::Approver).await?;
    let welfare = world.user_in("welfare", "ito").await?;
    world.grant_as("welfare", welfare, SOUTH, Role::Supervisor, |_| ()).await?;
    let stranger = world.tablet_in("welfare", welfare).await?;
    let unknown = json!({ "q": world.id() });
    for who in [&mori, &elsewhere, &approver, &stranger] {
        let there = [world.release(who, &waiting).await, world.close(who, &waiting).await];
        let nowhere = [world.release(who, &unknown).await, world.close(who, &unknown).await];
        for (there, nowhere) in there.iter().zip(&nowhere) {
            there.refused(404, "not-found");
            assert_eq!(there.text, nowhere.text);
        }
        let open = world.get(who, "/v1/quarantine").await.ok();
        assert_eq!(open["changes"], json!([]));
    }
    let gone = world.person("kato", SOUTH, Role::Supervisor).await?;
    for grant in
        world.state.store.read().await?.grants().of_users(&tenant("fire"), &[gone.user]).await?
    {
        world.end(&grant).await?;
    }
    world.release(&gone, &waiting).await.refused(404, "not-found");
    Ok(())
}

async fn what_claims_no_place_is_for_the_unplaced_inbox(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let unplaced = world.draft(&mori, &world.id(), json!([set("title", "x", &[])]));
    let claimed = world.new_visit(&mori, NORTH);
    let answer = mori.sync_texts(&world, &[unplaced.text(), "[]".to_owned(), claimed.text()]).await;
    let q = |i: usize| answer["results"][i].clone();
    let clerk = world.person("sato", "inbox:unplaced", Role::Supervisor).await?;
    let north = world.person("abe", NORTH, Role::Supervisor).await?;
    for (who, listed) in [(&clerk, vec![q(1), q(0)]), (&north, vec![q(2)])] {
        let open = world.get(who, "/v1/quarantine").await.ok();
        let ids: Vec<Value> = items(&open["changes"]).iter().map(|row| row["q"].clone()).collect();
        assert_eq!(ids, listed.iter().map(|row| row["q"].clone()).collect::<Vec<_>>());
    }
    world.release(&clerk, &q(2)).await.refused(404, "not-found");
    world.release(&clerk, &q(0)).await.refused(422, "unprocessable");
    world.release(&clerk, &q(1)).await.refused(422, "unprocessable");
    world.close(&clerk, &q(1)).await.ok();
    world.release(&north, &q(2)).await.ok();
    assert_eq!(world.record(&north, &claimed.rec()).await["title"], "first");
    Ok(())
}

async fn the_inbox_has_pages_and_states(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", NORTH, Role::Supervisor).await?;
    let drafts: Vec<Draft> = (0..5).map(|_| world.new_visit(&mori, NORTH)).collect();
    let answer = mori.sync(&world, &drafts.iter().collect::<Vec<_>>()).await;
    world.close(&boss, &answer["results"][0]).await.ok();
    world.release(&boss, &answer["results"][1]).await.ok();
    for (state, count) in [("open", 3), ("closed", 1), ("released", 1)] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        for _ in 0..5 {
            let path = format!("/v1/quarantine?state={state}&limit=2{after}");
            let page = world.get(&boss, &path).await.ok();
            seen.extend(items(&page["changes"]).iter().map(|row| row["id"].clone()));
            let Some(next) = page["next"].as_i64() else { break };
            after = format!("&after={next}");
        }
        seen.dedup();
        assert_eq!(seen.len(), count, "{state}");
    }
    for query in ["state=lost", "limit=0", "limit=201", "limit=x", "after=x", "nonsense=1"] {
        world.get(&boss, &format!("/v1/quarantine?{query}")).await.refused(400, "bad-parameter");
    }
    Ok(())
}
