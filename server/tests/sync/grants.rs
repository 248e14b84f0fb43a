//! What a grant brings and its end takes, at its instant: sync.md 2.6.

use crate::scenes::{Held, with_visits};
use crate::support::{DAY, NORTH, SOUTH, TestResult, World, items, records, set};
use serde_json::json;
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    a_bucket_that_is_no_longer_granted_leaves,
    a_grant_brings_a_bucket_and_its_end_takes_it,
    dated_grants_take_effect_at_their_instant,
    everyone_holds_everyone,
    what_is_not_for_tablets_stays_online,
);

async fn a_bucket_that_is_no_longer_granted_leaves(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.drain(&world).await;
    mori.have.push(NORTH.to_owned());
    let answer = mori.sync(&world, &[]).await;
    assert_eq!(
        answer["leave"],
        json!([{ "bucket": NORTH }]),
        "also of what it never should have had"
    );
    mori.have.push(NORTH.to_owned());
    let again = mori.sync(&world, &[]).await;
    assert_eq!(again["leave"], json!([{ "bucket": NORTH }]), "until it is no longer named");
    assert_eq!(mori.sync(&world, &[]).await["leave"], json!([]));
    Ok(())
}

async fn a_grant_brings_a_bucket_and_its_end_takes_it(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, _) = with_visits(&world, 2).await?;
    let user = world.user("hara").await?;
    let mut hara = world.tablet(user).await?;
    hara.drain(&world).await;
    let grant = world.grant(user, SOUTH, Role::Reader).await?;
    let mut held = Held::default();
    for answer in hara.drain(&world).await {
        held.take(&answer);
    }
    assert_eq!(held.0.len(), 2);
    world.clock.advance(1);
    world.end(&grant).await?;
    mori.sync(&world, &[&world.new_visit(&mori, SOUTH)]).await;
    let answer = hara.sync(&world, &[]).await;
    held.take(&answer);
    assert_eq!((&answer["leave"], &answer["records"]), (&json!([{ "bucket": SOUTH }]), &json!([])));
    assert!(held.0.is_empty());
    world.grant(user, SOUTH, Role::Reader).await?;
    for answer in hara.drain(&world).await {
        held.take(&answer);
    }
    assert_eq!(held.0.len(), 3, "a new grant brings everything back");
    Ok(())
}

async fn dated_grants_take_effect_at_their_instant(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visits) = with_visits(&world, 1).await?;
    let user = world.user("hara").await?;
    let mut hara = world.tablet(user).await?;
    let (from, to) = (world.now().plus(DAY), world.now().plus(2 * DAY));
    let dated = |new: &mut server::admin::grants::NewGrant| {
        (new.from_at, new.to_at) = (Some(from), Some(to));
    };
    world.grant_as("fire", user, SOUTH, Role::Inspector, dated).await?;
    hara.drain(&world).await;
    let path = format!("/v1/records/{}", visits[0].rec());
    for (at, held) in [(from.plus(-1), false), (from, true), (to.plus(-1), true), (to, false)] {
        world.clock.set(at);
        let answers = hara.drain(&world).await;
        assert_eq!(hara.have.contains(&SOUTH.to_owned()), held, "at {at}");
        let sent: usize = answers.iter().map(|answer| records(answer).len()).sum();
        assert_eq!(sent, usize::from(at == from));
        assert_eq!(world.get(&hara, &path).await.status.is_success(), held);
        let listed = world.get(&hara, "/v1/records").await.ok();
        assert_eq!(items(&listed["records"]).len(), usize::from(held));
        let edit = world.draft(&hara, &visits[0].rec(), json!([set("opinion", at.0, &[])]));
        let told = hara.push(&world, &edit).await["st"].clone();
        assert_eq!(
            told,
            match () {
                () if held => "ok",
                () if at < from => "quarantined",
                () => "late",
            }
        );
    }
    drop(mori);
    Ok(())
}

async fn everyone_holds_everyone(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut clerk = world.person("sato", "everyone", Role::Supervisor).await?;
    let notice = world.new_visit(&clerk, "everyone");
    assert_eq!(clerk.push(&world, &notice).await["st"], "ok");
    let user = world.user("hara").await?;
    let mut hara = world.tablet(user).await?;
    let sent: Vec<_> = hara.drain(&world).await.iter().flat_map(records).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1["in"], json!(["everyone"]));
    assert_eq!(hara.have, ["everyone"]);
    let edit = world.draft(&hara, &notice.rec(), json!([set("title", "mine", &[])]));
    assert_eq!(hara.push(&world, &edit).await["code"], "forbidden", "read only");
    let elsewhere = world.user_in("welfare", "ito").await?;
    let mut elsewhere = world.tablet_in("welfare", elsewhere).await?;
    assert!(elsewhere.drain(&world).await.iter().flat_map(records).next().is_none());
    Ok(())
}

async fn what_is_not_for_tablets_stays_online(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (_, visits) = with_visits(&world, 1).await?;
    let user = world.user("hara").await?;
    world.grant_as("fire", user, SOUTH, Role::Inspector, |new| new.hold = false).await?;
    let mut hara = world.tablet(user).await?;
    let answers = hara.drain(&world).await;
    assert!(answers.iter().flat_map(records).next().is_none());
    assert_eq!(hara.have, ["everyone"]);
    assert_eq!(world.record(&hara, &visits[0].rec()).await["title"], "first");
    hara.have.push(SOUTH.to_owned());
    assert_eq!(hara.sync(&world, &[]).await["leave"], json!([{ "bucket": SOUTH }]));
    let edit = world.draft(&hara, &visits[0].rec(), json!([set("opinion", "a", &[])]));
    let answer = hara.sync(&world, &[&edit]).await;
    assert_eq!((&answer["results"][0]["st"], &answer["records"]), (&json!("ok"), &json!([])));
    Ok(())
}
