//! Console sessions: passwords, locks, cookies, ends.

use crate::support::{Answer, PASSWORD, TestResult, World, tenant};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use server::admin::{Actor, users};
use server::config::Config;

async fn attempt(world: &World, login: &str, password: &str) -> Answer {
    let body = json!({ "tenant": "fire", "user": login, "password": password });
    world.ask("/v1/sessions", body).await
}

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_when_told() -> TestResult {
    let world = World::new().await?;
    world.user("fire", "mori", false).await?;
    let begun = attempt(&world, "mori", PASSWORD).await;
    let cookie = begun.headers.get(header::SET_COOKIE).ok_or("a cookie")?.to_str()?.to_owned();
    for part in ["__Host-genba_session=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"]
    {
        assert!(cookie.contains(part), "{cookie}");
    }
    let token = begun.str("token");
    assert_eq!(token.len(), 43, "256 bit in base64url");
    assert_eq!(world.get("/v1/sessions/current", &token).await.str("name"), "mori");
    let ended =
        world.call(axum::http::Method::DELETE, "/v1/sessions/current", Some(&token), None).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/v1/sessions/current", &token).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn an_unknown_login_and_a_wrong_password_look_the_same() -> TestResult {
    let world = World::new().await?;
    world.user("fire", "mori", false).await?;
    for round in 0..4 {
        let known = attempt(&world, "mori", "a wrong password").await;
        let unknown = attempt(&world, "nobody", "a wrong password").await;
        assert_eq!(known.status, unknown.status, "round {round}");
        assert_eq!(known.text, unknown.text, "round {round}");
        let (known, unknown) =
            (attempt(&world, "mori", PASSWORD).await, attempt(&world, "nobody", PASSWORD).await);
        assert_eq!(known.status, StatusCode::TOO_MANY_REQUESTS, "locked for a moment");
        assert_eq!(known.text, unknown.text, "round {round}");
        assert_eq!(
            known.headers.get(header::RETRY_AFTER),
            unknown.headers.get(header::RETRY_AFTER)
        );
        world.clock.advance(5_000);
    }
    assert_eq!(attempt(&world, "mori", PASSWORD).await.status, StatusCode::CREATED);
    assert_eq!(attempt(&world, "mori", PASSWORD).await.status, StatusCode::CREATED, "forgiven");
    Ok(())
}

#[tokio::test]
async fn guesses_at_once_do_not_pass_under_the_lock() -> TestResult {
    let world = World::new().await?;
    world.user("fire", "mori", false).await?;
    let guess = || attempt(&world, "mori", "a wrong password");
    let answers = tokio::join!(guess(), guess(), guess(), guess());
    let mut statuses =
        [answers.0, answers.1, answers.2, answers.3].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [401, 429, 429, 429]);
    Ok(())
}

#[tokio::test]
async fn the_lock_of_a_known_login_outlives_a_restart() -> TestResult {
    let world = World::new().await?;
    let id = world.user("fire", "mori", false).await?;
    attempt(&world, "mori", "a wrong password").await;
    let user = world.state.store.read().await?.users().find(&tenant("fire"), id).await?;
    let user = user.ok_or("the user")?;
    assert_eq!(user.failed_count, 1);
    assert_eq!(user.locked_until, Some(world.state.clock.now().plus(1_000)));
    Ok(())
}

#[tokio::test]
async fn a_session_ends_after_15_minutes_idle_and_after_12_hours() -> TestResult {
    const MINUTE: i64 = 60_000;
    let world = World::new().await?;
    world.user("fire", "mori", false).await?;
    let idle = world.sign_in("fire", "mori").await;
    world.clock.advance(15 * MINUTE - 1);
    assert_eq!(world.get("/v1/sessions/current", &idle).await.status, StatusCode::OK);
    world.clock.advance(15 * MINUTE);
    assert_eq!(world.get("/v1/sessions/current", &idle).await.status, StatusCode::UNAUTHORIZED);

    let busy = world.sign_in("fire", "mori").await;
    for _ in 0..71 {
        world.clock.advance(10 * MINUTE);
        assert_eq!(world.get("/v1/sessions/current", &busy).await.status, StatusCode::OK);
    }
    world.clock.advance(10 * MINUTE);
    assert_eq!(world.get("/v1/sessions/current", &busy).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn sessions_end_with_a_new_password_and_when_someone_leaves() -> TestResult {
    let world = World::new().await?;
    let actor = Actor { tenant: tenant("fire"), user: None };
    let mori = world.user("fire", "mori", false).await?;
    let hara = world.user("fire", "hara", false).await?;
    let (one, two) = (world.sign_in("fire", "mori").await, world.sign_in("fire", "hara").await);
    users::set_password(&world.state, &actor, mori, "another long secret".into()).await?;
    users::set_active(&world.state, &actor, hara, false).await?;
    for token in [one, two] {
        assert_eq!(
            world.get("/v1/sessions/current", &token).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(attempt(&world, "hara", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(attempt(&world, "mori", "another long secret").await.status, StatusCode::CREATED);
    Ok(())
}

#[tokio::test]
async fn what_is_no_session_is_refused() -> TestResult {
    let world = World::new().await?;
    world.user("fire", "mori", false).await?;
    let good = world.sign_in("fire", "mori").await;
    let flipped: String = good.chars().rev().collect();
    let padded = format!("{good}=");
    let long = "A".repeat(10_000);
    for token in ["", "x", "null", &flipped, &padded, &long, "' or 1=1 --"] {
        let answer = world.get("/v1/sessions/current", token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token:.20}");
    }
    for value in ["Basic bW9yaTp4", "Bearer", &good, &format!("Token {good}")] {
        let request = Request::get("/v1/sessions/current").header(header::AUTHORIZATION, value);
        let answer = world.send(request.body(Body::empty())?).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value:.12}");
    }
    let twice = Request::get("/v1/sessions/current")
        .header(header::AUTHORIZATION, format!("Bearer {good}"))
        .header(header::AUTHORIZATION, format!("Bearer {good}"));
    assert_eq!(world.send(twice.body(Body::empty())?).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_change_by_cookie_needs_the_mark_and_our_origin() -> TestResult {
    let config =
        Config { public_origin: Some("https://genba.example".into()), ..Config::default() };
    let world = World::with(config).await?;
    world.user("fire", "admin", true).await?;
    let token = world.sign_in("fire", "admin").await;
    let change = |marks: &[(&str, &str)]| {
        let mut request = Request::post("/v1/admin/backups")
            .header(header::COOKIE, format!("a=b; __Host-genba_session={token}; c=d"))
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in marks {
            request = request.header(*name, *value);
        }
        request.body(Body::from(r#"{"seq":0}"#)).expect("a request")
    };
    let ours = ("origin", "https://genba.example");
    let mark = ("genba-csrf", "1");
    assert_eq!(world.send(change(&[mark, ours])).await.status, StatusCode::NO_CONTENT);
    for marks in [
        &[][..],
        &[mark],
        &[ours],
        &[("genba-csrf", "0"), ours],
        &[mark, ("origin", "https://evil.example")],
        &[mark, ("origin", "null")],
        &[mark, ("origin", "http://genba.example")],
        &[mark, ("origin", "https://genba.example.evil.example")],
        &[mark, ("referer", "https://genba.example/")],
    ] {
        assert_eq!(world.send(change(marks)).await.problem(), "cross-site", "{marks:?}");
    }
    let read = Request::get("/v1/sessions/current")
        .header(header::COOKIE, format!("__Host-genba_session={token}"));
    assert_eq!(world.send(read.body(Body::empty())?).await.status, StatusCode::OK);
    let other_name = Request::get("/v1/sessions/current")
        .header(header::COOKIE, format!("genba_session={token}"));
    assert_eq!(world.send(other_name.body(Body::empty())?).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}
