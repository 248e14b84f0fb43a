//! When a change was made: the last part of sync.md 2.3.

use crate::support::{DAY, MINUTE, SOUTH, TestResult, World, set, with_changes};
use serde_json::{Value, json};
use storage::Store;

storage::on_both!(
    the_monotonic_clock_tells_within_one_boot,
    the_wall_clock_tells_across_boots,
    no_time_lies_before_enrolment_or_after_receipt,
    nothing_is_refused_for_its_time,
    a_clock_that_is_off_is_flagged,
    a_stamp_given_earlier_holds,
    the_clock_decides_only_between_those_who_did_not_know_of_each_other,
);

async fn the_monotonic_clock_tells_within_one_boot(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    world.clock.advance(DAY);
    let wrong_wall = "2001-01-01T00:00:00.000Z";
    let visit = world.new_visit(&mori, SOUTH);
    let visit = visit.with(json!({ "at": wrong_wall, "mono": 1_000_000 - MINUTE, "boot": "b" }));
    let result = mori.push(&world, &visit).await;
    assert_eq!(result["t_eff"], world.now().0 - MINUTE);
    Ok(())
}

async fn the_wall_clock_tells_across_boots(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    world.clock.advance(DAY);
    // The tablet's wall clock is three minutes slow: the change was made two minutes before the request.
    let slow = |before: i64| world.now().plus(-3 * MINUTE - before).to_string();
    for times in
        [json!({ "mono": 5, "boot": "another" }), json!({ "boot": "b" }), json!({ "mono": 5 })]
    {
        let visit =
            world.new_visit(&mori, SOUTH).with(times).with(json!({ "at": slow(2 * MINUTE) }));
        let mut envelope = mori.envelope(&world);
        envelope["clock"]["now"] = json!(slow(0));
        let answer = world.post_sync(&mori, with_changes(&envelope, &[visit.text()])).await.ok();
        mori.take(&answer);
        mori.next += 1;
        assert_eq!(answer["results"][0]["t_eff"], world.now().0 - 2 * MINUTE);
    }
    Ok(())
}

async fn no_time_lies_before_enrolment_or_after_receipt(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let enrolled = world.now().0;
    world.clock.advance(DAY);
    for (times, t_eff) in [
        (json!({ "at": "1970-01-01T00:00:00.000Z" }), enrolled),
        (json!({ "at": "9999-12-30T00:00:00.000Z" }), world.now().0),
        (json!({ "mono": -9_007_199_254_740_991_i64, "boot": "b" }), enrolled),
        (json!({ "mono": 9_007_199_254_740_991_i64, "boot": "b" }), world.now().0),
    ] {
        let visit = world.new_visit(&mori, SOUTH).with(times.clone());
        assert_eq!(mori.push(&world, &visit).await["t_eff"], t_eff, "{times}");
    }
    Ok(())
}

async fn nothing_is_refused_for_its_time(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let far = ["0001-01-01T00:00:00.000Z", "9999-12-30T22:00:00.000Z"];
    for (now, at) in [(far[0], far[1]), (far[1], far[0])] {
        for mono in [i64::MIN, i64::MAX] {
            let visit =
                world.new_visit(&mori, SOUTH).with(json!({ "at": at, "mono": 0, "boot": "b" }));
            let mut envelope = mori.envelope(&world);
            envelope["clock"] = json!({ "now": now, "mono": mono, "boot": "b" });
            let answer =
                world.post_sync(&mori, with_changes(&envelope, &[visit.text()])).await.ok();
            mori.take(&answer);
            mori.next += 1;
            assert_eq!(answer["results"][0]["st"], "ok");
            assert_eq!(
                answer["results"][0]["t_eff"],
                world.now().0,
                "enrolment and receipt are one instant"
            );
        }
    }
    Ok(())
}

async fn a_clock_that_is_off_is_flagged(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    for (offset, flags) in [
        (5 * MINUTE, json!([])),
        (-5 * MINUTE, json!([])),
        (5 * MINUTE + 1, json!(["clock_suspect"])),
    ] {
        let visit = world.new_visit(&mori, SOUTH);
        let mut envelope = mori.envelope(&world);
        envelope["clock"]["now"] = json!(world.now().plus(offset).to_string());
        let answer = world.post_sync(&mori, with_changes(&envelope, &[visit.text()])).await.ok();
        mori.take(&answer);
        mori.next += 1;
        let history = world.get(&mori, &format!("/v1/records/{}/history", visit.rec())).await.ok();
        assert_eq!(history["changes"][0]["flags"], flags, "{offset}");
        assert_eq!(world.record(&mori, &visit.rec()).await["state"]["flags"], flags);
    }
    Ok(())
}

async fn a_stamp_given_earlier_holds(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    world.clock.advance(DAY);
    for (ago, holds) in [(MINUTE, true), (0, true), (-1, false)] {
        let visit =
            world.new_visit(&mori, SOUTH).with(json!({ "mono": 1_000_000 - 7, "boot": "b" }));
        let stamp = world.now().0 - ago;
        let mut envelope = mori.envelope(&world);
        envelope["push"]["stamps"] = json!({ visit.id(): stamp });
        let answer = world.post_sync(&mori, with_changes(&envelope, &[visit.text()])).await.ok();
        mori.take(&answer);
        mori.next += 1;
        let expected = if holds { stamp } else { world.now().0 - 7 };
        assert_eq!(answer["results"][0]["t_eff"], expected, "{ago} ms ago");
    }
    Ok(())
}

async fn the_clock_decides_only_between_those_who_did_not_know_of_each_other(
    store: Store,
) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut hara = world.inspector("hara").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    world.clock.advance(DAY);
    let old = json!({ "mono": 1_000_000 - 1_000, "boot": "b" });
    let new = json!({ "mono": 1_000_000 - 10, "boot": "b" });
    let rec = visit.rec();
    let later = world.draft(&mori, &rec, json!([set("title", "later", &[visit.dot(1)])])).with(new);
    let earlier =
        world.draft(&hara, &rec, json!([set("title", "earlier", &[visit.dot(1)])])).with(old);
    mori.sync(&world, &[&later]).await;
    hara.sync(&world, &[&earlier]).await;
    let title = |shown: &Value| shown["view"]["fields"]["title"].clone();
    let shown = title(&world.record(&mori, &rec).await);
    assert_eq!((&shown["shown"], &shown["mark"]), (&json!("later"), &json!("also")));
    let versions: Vec<&Value> =
        shown["versions"].as_array().into_iter().flatten().map(|v| &v["value"]).collect();
    assert_eq!(versions, ["later", "earlier"], "nobody's value is lost");
    let last =
        world.draft(&hara, &rec, json!([set("title", "agreed", &[later.dot(0), earlier.dot(0)])]));
    let last = last.with(json!({ "mono": -9_000_000_000_i64, "boot": "b" }));
    hara.sync(&world, &[&last]).await;
    let shown = title(&world.record(&mori, &rec).await);
    assert_eq!((&shown["shown"], &shown["mark"]), (&json!("agreed"), &json!("agreed")));
    Ok(())
}
