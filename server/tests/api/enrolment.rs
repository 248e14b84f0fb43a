//! Enrolment: a code binds one key to one user, once.

use crate::support::{Key, TestResult, World};
use axum::http::StatusCode;
use serde_json::{Value, json};

fn body(place: &str, code: &str, key: &Value) -> Value {
    json!({ "tenant": place, "code": code, "public_key": key, "name": "消防 1" })
}

#[tokio::test]
async fn a_code_enrols_one_device_once() -> TestResult {
    let world = World::new().await?;
    let user = world.user("fire", "mori", false).await?;
    let code = world.code("fire", user).await?;
    let key = Key::ed25519().jwk();
    let enrolled = world.ask("/v1/enrol", body("fire", &code.to_lowercase(), &key)).await;
    assert_eq!(enrolled.status, StatusCode::CREATED, "{}", enrolled.text);
    assert_eq!(enrolled.str("user"), user.to_string());
    assert_eq!(enrolled.str("tenant_name_ja"), "消防局");
    assert_eq!(enrolled.str("audience"), "genba");
    let other = world.ask("/v1/enrol", body("fire", &code, &Key::ed25519().jwk())).await;
    assert_eq!(other.problem(), "unauthorised");
    let again = world.ask("/v1/enrol", body("fire", &code, &key)).await;
    assert_eq!(again.json(), enrolled.json(), "a lost answer is told again to the same key");
    Ok(())
}

#[tokio::test]
async fn two_who_use_one_code_at_once_get_one_device() -> TestResult {
    let world = World::new().await?;
    let user = world.user("fire", "mori", false).await?;
    let code = world.code("fire", user).await?;
    let (one, two) = (Key::ed25519().jwk(), Key::ed25519().jwk());
    let (one, two) = tokio::join!(
        world.ask("/v1/enrol", body("fire", &code, &one)),
        world.ask("/v1/enrol", body("fire", &code, &two))
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401]);
    Ok(())
}

#[tokio::test]
async fn every_code_that_does_not_hold_has_one_answer() -> TestResult {
    let world = World::new().await?;
    let user = world.user("fire", "mori", false).await?;
    let key = Key::ed25519().jwk();
    let foreign = world.code("fire", user).await?;
    for (place, code) in [
        ("welfare", foreign.as_str()),
        ("nowhere", foreign.as_str()),
        ("fire", "0000-00000-0000"),
        ("fire", ""),
        ("fire", "not a code"),
    ] {
        let answer = world.ask("/v1/enrol", body(place, code, &key)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{place} {code}");
        assert_eq!(
            answer.json(),
            json!({ "type": "/problems/unauthorised", "status": 401,
            "title": "There are no valid credentials" })
        );
    }
    let late = world.code("fire", user).await?;
    world.clock.advance(10 * 60 * 1_000);
    assert_eq!(world.ask("/v1/enrol", body("fire", &late, &key)).await.problem(), "unauthorised");
    Ok(())
}

#[tokio::test]
async fn a_code_outlives_four_failed_attempts_and_not_five() -> TestResult {
    for (failures, expected) in [(4, 201), (5, 401)] {
        let world = World::new().await?;
        let user = world.user("fire", "mori", false).await?;
        let code = world.code("fire", user).await?;
        for _ in 0..failures {
            let refused = world.ask("/v1/enrol", body("fire", &code, &json!({}))).await;
            assert_eq!(refused.str("reason"), "bad_key");
        }
        let answer = world.ask("/v1/enrol", body("fire", &code, &Key::ed25519().jwk())).await;
        assert_eq!(answer.status.as_u16(), expected, "after {failures}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_name_is_named_and_costs_no_attempt() -> TestResult {
    let world = World::new().await?;
    let user = world.user("fire", "mori", false).await?;
    let code = world.code("fire", user).await?;
    let key = Key::ed25519().jwk();
    for name in [String::new(), "  ".to_owned(), "あ".repeat(81)] {
        let answer = world
            .ask(
                "/v1/enrol",
                json!({ "tenant": "fire", "code": code, "public_key": key, "name": name }),
            )
            .await;
        assert_eq!(answer.str("reason"), "bad_name");
    }
    assert_eq!(world.ask("/v1/enrol", body("fire", &code, &key)).await.status.as_u16(), 201);
    Ok(())
}

#[tokio::test]
async fn someone_who_left_enrols_nothing() -> TestResult {
    use server::admin::{Actor, users};
    let world = World::new().await?;
    let user = world.user("fire", "mori", false).await?;
    let code = world.code("fire", user).await?;
    let actor = Actor { tenant: crate::support::tenant("fire"), user: None };
    users::set_active(&world.state, &actor, user, false).await?;
    let answer = world.ask("/v1/enrol", body("fire", &code, &Key::ed25519().jwk())).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    Ok(())
}
