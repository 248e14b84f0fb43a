//! Requests that are malformed, oversized or forged: each has its named problem, and nothing of them is stored.

use crate::support::{
    Answer, SOUTH, Tablet, TestResult, World, items, outcome, outcomes, set, with_changes,
};
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use std::io::Write as _;
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    bad_envelopes_are_named,
    a_member_named_twice_is_refused,
    bodies_that_are_not_json_are_named,
    encodings_are_read_within_their_bounds,
    every_list_of_an_envelope_has_a_bound,
    cursors_of_others_are_unreadable,
    tokens_of_the_wrong_kind_open_nothing,
    bad_commands_are_named,
);

/// Posts bytes to `/v1/sync` with these headers.
async fn post(world: &World, tablet: &Tablet, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = Request::post("/v1/sync")
        .header(header::AUTHORIZATION, format!("Bearer {}", world.token(tablet)));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body)).expect("a request")).await
}

async fn bad_envelopes_are_named(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.sync(&world, &[]).await;
    let good = mori.envelope(&world);
    let remove = Value::from("remove");
    for (at, value, told) in [
        ("/v", json!(2), "`v` is 1"),
        ("/v", json!("1"), "`v` is not of its form"),
        ("/v", json!(-1), "`v` is not of its form"),
        ("/v", remove.clone(), "`v` is missing"),
        ("/replica", json!("x"), "`replica` is not of its form"),
        ("/replica", Value::Null, "`replica` is not of its form"),
        ("/replica", remove.clone(), "`replica` is missing"),
        ("/replica", json!("0199000A-0000-7000-8000-000000000001"), "`replica` is not of its form"),
        ("/attempt", json!(7), "`attempt` is not of its form"),
        ("/attempt", remove.clone(), "`attempt` is missing"),
        ("/lease", json!("x"), "`lease` is not of its form"),
        ("/lease", json!(7), "`lease` is not of its form"),
        ("/clock", remove.clone(), "`clock` is missing"),
        ("/clock", json!(7), "`clock` is not of its form"),
        ("/clock/now", json!("2026-11-22T14:03:11Z"), "`clock.now` is not of its form"),
        ("/clock/now", json!("2026-11-22T23:03:11.201+09:00"), "`clock.now` is not of its form"),
        ("/clock/mono", json!(1.5), "`clock.mono` is not of its form"),
        ("/clock/mono", json!(1e30), "`clock.mono` is not of its form"),
        ("/clock/boot", json!(1), "`clock.boot` is not of its form"),
        ("/epoch", json!("x"), "`epoch` is not of its form"),
        ("/epoch", json!(1), "`epoch` is not of its form"),
        ("/cursor", json!(7), "`cursor` is not of its form"),
        ("/have", json!("x"), "`have` is not of its form"),
        ("/have", json!(["station"]), "`have[0]` is not of its form"),
        ("/have", json!([7]), "`have[0]` is not of its form"),
        ("/have", Value::Null, "`have` is not of its form"),
        ("/have", json!([[[[[["x"]]]]]]), "`have[0]` is not of its form"),
        ("/snap", json!([SOUTH]), "`snap[0]` is not of its form"),
        ("/snap", json!([{ "bucket": SOUTH, "token": 7 }]), "`snap[0].token` is not of its form"),
        (
            "/snap",
            json!([{ "bucket": SOUTH, "token": null, "more": 1 }]),
            "`snap[0].more` is not known",
        ),
        ("/push", remove.clone(), "`push` is missing"),
        ("/push", json!([]), "`push` is not of its form"),
        ("/push/from", json!("1"), "`push.from` is not of its form"),
        ("/push/from", remove.clone(), "`push.from` is missing"),
        ("/push/from", json!(1.5), "`push.from` is not of its form"),
        ("/push/from", json!(9_223_372_036_854_775_808_u64), "`push.from` is not of its form"),
        ("/push/changes", json!({}), "`push.changes` is not of its form"),
        ("/push/changes", json!("x"), "`push.changes` is not of its form"),
        ("/push/stamps", json!({ "x": 1 }), "`push.stamps"),
        (
            "/push/stamps",
            json!({ "01990000-0000-7000-8000-000000000001": "x" }),
            "`push.stamps.01990000-0000-7000-8000-000000000001` is not of its form",
        ),
        ("/push/more", json!(1), "`push.more` is not known"),
        ("/purged", json!([{ "bucket": SOUTH }]), "`purged[0].at` is missing"),
        ("/purged", json!([{ "bucket": "x", "at": 1 }]), "`purged[0].bucket` is not of its form"),
        ("/open", json!(["x"]), "`open[0]` is not of its form"),
        ("/open", json!([7]), "`open[0]` is not of its form"),
        ("/blobs", json!("x"), "`blobs` is not of its form"),
        ("/blobs", Value::Null, "`blobs` is not of its form"),
        ("/blobs", json!([7]), "`blobs[0]` is not of its form"),
        ("/blobs", json!(["x"]), "`blobs[0]` is not of its form"),
        ("/blobs", json!(["A".repeat(64)]), "`blobs[0]` is not of its form"),
        ("/blobs", json!(["0".repeat(63)]), "`blobs[0]` is not of its form"),
        ("/blobs", json!([format!("sha256:{}", "0".repeat(64))]), "`blobs[0]` is not of its form"),
        ("/want", json!({ "max_bytes": -1 }), "`want.max_bytes` is not of its form"),
        ("/want", json!({ "max_bytes": "x" }), "`want.max_bytes` is not of its form"),
        ("/want", json!({ "sums": 1 }), "`want.sums` is not of its form"),
        ("/want", json!({ "everything": true }), "`want.everything` is not known"),
        ("/extra", json!(1), "`extra` is not known"),
    ] {
        let mut bad = good.clone();
        let (parent, name) = at.rsplit_once('/').ok_or("a path")?;
        let members = bad.pointer_mut(parent).and_then(Value::as_object_mut).ok_or("an object")?;
        if value == remove {
            members.remove(name);
        } else {
            members.insert(name.to_owned(), value.clone());
        }
        let answer = world.post_sync(&mori, bad.to_string()).await;
        assert_eq!(answer.problem(), (400, "bad-body".to_owned()), "{at} {value}: {}", answer.text);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(told), "{at} {value}: {detail}");
    }
    assert_eq!(world.head().await?, 0);
    mori.sync(&world, &[]).await;
    Ok(())
}

async fn a_member_named_twice_is_refused(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mori = world.inspector("mori").await?;
    let good = mori.envelope(&world).to_string();
    let id = world.id();
    let stamps = format!("\"stamps\":{{\"{id}\":1,\"{id}\":2}},\"changes\"");
    for (bad, told) in [
        (good.replacen("{\"", "{\"v\":1,\"", 1), "`v` is named twice"),
        (good.replace("\"from\"", "\"from\":1,\"from\""), "`push.from` is named twice"),
        (good.replace("\"boot\"", "\"boot\":\"b\",\"boot\""), "`clock.boot` is named twice"),
        (
            good.replace("\"changes\"", "\"changes\":[],\"changes\""),
            "`push.changes` is named twice",
        ),
        (good.replace("\"changes\"", &stamps), "`push.stamps` is not of its form"),
        (good.replacen('{', "{\"\\u0076\":1,", 1), "`v` is named twice"),
    ] {
        assert_ne!(bad, good);
        let answer = world.post_sync(&mori, bad).await;
        answer.refused(400, "bad-body");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(told), "{told}: {detail}");
    }
    Ok(())
}

async fn bodies_that_are_not_json_are_named(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let good = mori.request(&world, &[visit.text()]);
    let json = [("content-type", "application/json")];
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        post(&world, &mori, &json, good.as_bytes()[..cut].to_vec()).await.refused(400, "bad-body");
    }
    for bad in [
        format!("{good} {{}}").into_bytes(),
        [b"\xef\xbb\xbf", good.as_bytes()].concat(),
        good.replace("first", "\u{1}")
            .into_bytes()
            .into_iter()
            .map(|b| if b == 1 { 0xff } else { b })
            .collect(),
        "[".repeat(900_000).into_bytes(),
        good.replace(&visit.text(), "{\"a\":").into_bytes(),
        good.replace(&visit.text(), "nonsense").into_bytes(),
        good.replace("first", "\u{1}").into_bytes(),
        good.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ] {
        post(&world, &mori, &json, bad).await.refused(400, "bad-body");
    }
    for media in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/cbor")]]
    {
        post(&world, &mori, media, good.clone().into_bytes())
            .await
            .refused(415, "unsupported-media-type");
    }
    assert_eq!(world.head().await?, 0);
    post(&world, &mori, &json, good.into_bytes()).await.ok();
    Ok(())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

async fn encodings_are_read_within_their_bounds(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let with = |encoding: &'static str| {
        [("content-type", "application/json"), ("content-encoding", encoding)]
    };
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 3);
    let visit = world.new_visit(&mori, SOUTH);
    let good = mori.request(&world, &[visit.text()]).into_bytes();
    let bomb = vec![b' '; 9 * 1024 * 1024];
    let noise = vec![b' '; 1_048_577];
    for (encoding, body, status, name) in [
        ("gzip", gzip(&bomb), 413, "too-large"),
        ("zstd", zstd(&bomb)?, 413, "too-large"),
        ("gzip", gzip(&vec![b' '; 400_000]), 413, "too-large"),
        ("gzip", gzip(&good)[..20].to_vec(), 400, "bad-body"),
        ("zstd", zstd(&good)?[..20].to_vec(), 400, "bad-body"),
        ("gzip", good.clone(), 400, "bad-body"),
        ("zstd", gzip(&good), 400, "bad-body"),
        ("br", good.clone(), 415, "unsupported-encoding"),
        ("gzip, gzip", gzip(&gzip(&good)), 415, "unsupported-encoding"),
        ("identity", noise, 413, "too-large"),
    ] {
        let answer = post(&world, &mori, &with(encoding), body).await;
        assert_eq!(answer.problem(), (status, name.to_owned()), "{encoding}: {}", answer.text);
        if status == 413 {
            let limits = json!({ "max_body": 1_048_576, "max_inflated": 8_388_608, "max_change": 262_144, "max_push": 200 });
            assert_eq!(answer.json()["limits"], limits);
        }
    }
    assert_eq!(world.head().await?, 0);
    assert_eq!(outcomes(&post(&world, &mori, &with("zstd"), zstd(&good)?).await.ok()), ["ok"]);
    let again = post(&world, &mori, &with("gzip"), gzip(&good)).await.ok();
    assert_eq!(outcomes(&again), ["dup ok"]);
    mori.take(&again);
    Ok(())
}

async fn every_list_of_an_envelope_has_a_bound(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let texts: Vec<String> = (0..201).map(|_| world.new_visit(&mori, SOUTH).text()).collect();
    let buckets =
        |count: usize| -> Vec<String> { (0..count).map(|i| format!("station:s{i}")).collect() };
    let ids = |count: usize| -> Vec<String> { (0..count).map(|_| world.id()).collect() };
    let blobs = |count: usize| -> Vec<String> { (0..count).map(|i| format!("{i:064x}")).collect() };
    let stamps = |count| -> Value {
        ids(count).into_iter().map(|id| (id, json!(1))).collect::<serde_json::Map<_, _>>().into()
    };
    let purges = |count: i64| -> Vec<Value> {
        (0..count).map(|at| json!({ "bucket": SOUTH, "at": at })).collect()
    };
    let envelope = |name: &str, value: Value| {
        let mut envelope = mori.envelope(&world);
        match name {
            "stamps" => envelope["push"]["stamps"] = value,
            name => envelope[name] = value,
        }
        envelope
    };
    let mut both = envelope("have", json!(buckets(200)));
    both["snap"] =
        buckets(57).iter().map(|bucket| json!({ "bucket": bucket, "token": null })).collect();
    for request in [
        mori.request(&world, &texts),
        envelope("have", json!(buckets(257))).to_string(),
        both.to_string(),
        envelope("open", json!(ids(1_001))).to_string(),
        envelope("purged", json!(purges(1_001))).to_string(),
        envelope("blobs", json!(blobs(501))).to_string(),
        envelope("stamps", stamps(201)).to_string(),
    ] {
        let answer = world.post_sync(&mori, request).await;
        answer.refused(413, "too-large");
        assert_eq!(answer.json()["limits"]["max_push"], 200);
    }
    assert_eq!(world.head().await?, 0);
    let mut full = envelope("have", json!(buckets(256)));
    full["open"] = json!(ids(1_000));
    full["purged"] = json!(purges(1_000));
    full["blobs"] = json!(blobs(500));
    full["push"]["stamps"] = stamps(200);
    let answer = world.post_sync(&mori, with_changes(&full, &texts[..200])).await.ok();
    assert_eq!(outcomes(&answer), vec!["ok"; 200]);
    assert_eq!(items(&answer["leave"]).len(), 256);
    mori.take(&answer);
    Ok(())
}

async fn cursors_of_others_are_unreadable(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut hara = world.inspector("hara").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    hara.sync(&world, &[]).await;
    let own = mori.cursor.as_str().unwrap_or_default().to_owned();
    let token = mori.snap[0]["token"].clone();
    let change = world.new_visit(&mori, SOUTH);
    for cursor in [
        hara.cursor.clone(),
        token,
        json!(""),
        json!("nonsense"),
        json!("%%%"),
        json!(own.to_lowercase()),
        json!(format!("{own}A")),
        json!(&own[1..]),
        json!("A".repeat(100_000)),
    ] {
        let mut wrong = mori.clone();
        wrong.cursor = cursor;
        let answer = world.post_sync(&wrong, wrong.request(&world, &[change.text()])).await;
        answer.refused(400, "bad-cursor");
    }
    assert_eq!(world.head().await?, 1, "nothing of the push was taken");
    mori.cursor = Value::Null;
    let answer = mori.sync(&world, &[&change]).await;
    assert_eq!((outcomes(&answer), items(&answer["enter"]).len()), (vec!["ok".to_owned()], 2));
    Ok(())
}

async fn tokens_of_the_wrong_kind_open_nothing(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mori = world.inspector("mori").await?;
    let hara = world.user("hara").await?;
    let mut forged = mori.clone();
    forged.user = hara;
    let request = mori.request(&world, &[]);
    world.post_sync(&forged, &*request).await.refused(401, "unauthorised");
    let mut elsewhere = mori.clone();
    "welfare".clone_into(&mut elsewhere.place);
    world.post_sync(&elsewhere, &*request).await.refused(401, "unauthorised");
    let send = async |token: Option<String>| {
        let mut post = Request::post("/v1/sync").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            post = post.header(header::AUTHORIZATION, token);
        }
        world.send(post.body(Body::from(request.clone())).expect("a request")).await
    };
    let good = world.token(&mori);
    for token in [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some(format!("Basic {good}")),
        Some("Bearer a.b.c".to_owned()),
        Some(format!("Bearer {}", good.rsplit_once('.').map_or("", |(head, _)| head))),
        Some(format!("Bearer {good}x")),
    ] {
        send(token).await.refused(401, "unauthorised");
    }
    world.clock.advance(400_000);
    send(Some(format!("Bearer {good}"))).await.refused(401, "unauthorised");
    Ok(())
}

async fn bad_commands_are_named(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let chief = world.person("chief", SOUTH, Role::Approver).await?;
    world.grant(chief.user, SOUTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let long = "x".repeat(4_097);
    let rec = visit.rec();
    let waiting =
        mori.push(&world, &world.draft(&mori, &rec, json!([set("decision", "x", &[])]))).await;
    let q = waiting["q"].as_str().unwrap_or_default();
    assert_eq!(outcome(&waiting), "quarantined forbidden");
    let head = world.head().await?;
    for (path, body, status, name) in [
        (
            format!("/v1/records/{rec}/seal"),
            json!({ "rv": "1", "view_hash": "x" }),
            400,
            "bad-body",
        ),
        (format!("/v1/records/{rec}/seal"), json!({ "rv": 1 }), 400, "bad-body"),
        (
            format!("/v1/records/{rec}/seal"),
            json!({ "rv": 1, "view_hash": "nonsense" }),
            409,
            "changed-since-seen",
        ),
        (
            format!("/v1/records/{rec}/seal"),
            json!({ "rv": i64::MAX, "view_hash": "\u{0}" }),
            409,
            "changed-since-seen",
        ),
        (format!("/v1/records/{rec}/unseal"), json!({ "why": "" }), 400, "bad-body"),
        (format!("/v1/records/{rec}/unseal"), json!({ "why": long }), 400, "bad-body"),
        (format!("/v1/records/{rec}/unseal"), json!({ "why": "x", "id": "x" }), 400, "bad-body"),
        (format!("/v1/records/{rec}/unseal"), json!({ "why": "x" }), 409, "conflict"),
        (format!("/v1/records/{rec}/late/{}/accept", visit.id()), json!({}), 404, "not-found"),
        (format!("/v1/records/{rec}/late/x/aside"), json!({ "why": "x" }), 404, "not-found"),
        (format!("/v1/records/{rec}/dance"), json!({}), 404, "not-found"),
        ("/v1/records/x/seal".to_owned(), json!({ "rv": 1, "view_hash": "x" }), 404, "not-found"),
        (format!("/v1/quarantine/{q}/close"), json!({}), 400, "bad-body"),
        (format!("/v1/quarantine/{q}/close"), json!({ "why": " " }), 400, "bad-body"),
        (format!("/v1/quarantine/{q}/release"), json!({ "why": long }), 400, "bad-body"),
        (format!("/v1/quarantine/{q}/release"), json!({ "force": true }), 400, "bad-body"),
        ("/v1/quarantine/x/release".to_owned(), json!({}), 404, "not-found"),
    ] {
        let answer = world.post(&chief, &path, &body).await;
        assert_eq!(answer.problem(), (status, name.to_owned()), "{path} {}", answer.text);
    }
    for query in ["flag=%00", "state=a%00b", "type=%00", "bucket=%00:a"] {
        world.get(&chief, &format!("/v1/records?{query}")).await.refused(400, "bad-parameter");
    }
    for query in ["state=%00", "state=open%00"] {
        world.get(&chief, &format!("/v1/quarantine?{query}")).await.refused(400, "bad-parameter");
    }
    world.get(&chief, "/v1/bundles/a%00b").await.refused(404, "not-found");
    for why in ["a\u{0}b", "\u{0}"] {
        let path = format!("/v1/records/{rec}/unseal");
        world.post(&chief, &path, &json!({ "why": why })).await.refused(400, "bad-body");
        for verb in ["release", "close"] {
            let answer = world
                .post(&chief, &format!("/v1/quarantine/{q}/{verb}"), &json!({ "why": why }))
                .await;
            answer.refused(400, "bad-body");
        }
    }
    assert_eq!(world.head().await?, head);
    for path in [
        format!("/v1/records/{rec}/seal"),
        format!("/v1/quarantine/{q}/close"),
        "/v1/sync".to_owned(),
    ] {
        world.get(&chief, &path).await.refused(405, "method-not-allowed");
    }
    Ok(())
}
