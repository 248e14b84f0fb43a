//! Administration from the console: who may, what it does, what it leaves in the trail.

use crate::support::{PASSWORD, TestResult, World, tenant};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use server::admin::users::NewUser;
use server::admin::{Actor, forms, users};
use server::problem::ApiError;

async fn actions(world: &World) -> TestResult<Vec<String>> {
    let trail = world.state.store.read().await?.audit().list(&tenant("fire"), None, 100).await?;
    Ok(trail.into_iter().map(|entry| entry.action).collect())
}

#[tokio::test]
async fn a_user_is_made_shown_listed_and_deactivated() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let body = json!({ "login": "mori", "name": "森 花", "password": PASSWORD });
    let made = world.post("/v1/admin/users", &admin, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let path = format!("/v1/admin/users/{}", made.str("id"));
    assert_eq!(world.get(&path, &admin).await.str("name"), "森 花");
    let listed = world.get("/v1/admin/users", &admin).await.json();
    assert_eq!(listed.pointer("/users/1/login"), Some(&json!("mori")));
    assert!(!listed.to_string().contains("argon2"), "no hash leaves the server");
    assert_eq!(world.post("/v1/admin/users", &admin, body).await.problem(), "conflict");

    let mori = world.sign_in("fire", "mori").await;
    let off = world.call(Method::POST, &format!("{path}/deactivate"), Some(&admin), None).await;
    assert_eq!(off.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/v1/sessions/current", &mori).await.status, StatusCode::UNAUTHORIZED);
    assert!(actions(&world).await?.contains(&"user.deactivate".to_owned()));
    let on = world.call(Method::POST, &format!("{path}/activate"), Some(&admin), None).await;
    assert_eq!(on.status, StatusCode::NO_CONTENT);
    Ok(())
}

#[tokio::test]
async fn a_new_password_is_checked_and_ends_the_sessions() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let id = world.user("fire", "mori", false).await?;
    let mori = world.sign_in("fire", "mori").await;
    let path = format!("/v1/admin/users/{id}/password");
    let put = async |password: &str| {
        world.call(Method::PUT, &path, Some(&admin), Some(json!({ "password": password }))).await
    };
    assert_eq!(put("too short").await.str("reason"), "bad_password");
    assert_eq!(put("a long new secret").await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/v1/sessions/current", &mori).await.status, StatusCode::UNAUTHORIZED);
    assert!(actions(&world).await?.contains(&"user.password".to_owned()));
    Ok(())
}

#[tokio::test]
async fn bad_users_are_named() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    for (body, reason) in [
        (json!({ "login": "", "name": "n" }), "bad_login"),
        (json!({ "login": "a b", "name": "n" }), "bad_login"),
        (json!({ "login": "a".repeat(129), "name": "n" }), "bad_login"),
        (json!({ "login": "mori", "name": " " }), "bad_name"),
        (json!({ "login": "mori", "name": "a\u{7}b" }), "bad_name"),
        (json!({ "login": "mori", "name": "n", "password": "passwordpassword" }), "bad_password"),
    ] {
        let answer = world.post("/v1/admin/users", &admin, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.str("reason"), reason, "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_grant_is_given_listed_and_ended() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let user = world.user("fire", "mori", false).await?;
    let body = json!({ "id": "01990000-0000-7000-8000-00000000000a", "user": user,
        "bucket": "station:fs-south", "role": "inspector", "from": "2027-03-31T15:00:00.000Z" });
    let made = world.post("/v1/admin/grants", &admin, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(world.post("/v1/admin/grants", &admin, body.clone()).await.json(), made.json());
    let other = crate::support::with(&body, &json!({ "role": "reader" }));
    assert_eq!(world.post("/v1/admin/grants", &admin, other).await.problem(), "conflict");
    assert_eq!(made.json().get("hold"), Some(&Value::Bool(true)));
    for by in [format!("user={user}"), "bucket=station:fs-south".to_owned()] {
        let listed = world.get(&format!("/v1/admin/grants?{by}"), &admin).await.json();
        assert_eq!(listed.pointer("/grants/0/id"), made.json().get("id"), "{by}");
    }
    let end = format!("/v1/admin/grants/{}/end", made.str("id"));
    let past = json!({ "at": "2020-01-01T00:00:00.000Z" });
    assert_eq!(world.post(&end, &admin, past).await.str("reason"), "bad_period");
    assert_eq!(world.post(&end, &admin, json!({})).await.status, StatusCode::NO_CONTENT);
    let again = world.post(&end, &admin, json!({ "at": "2028-01-01T00:00:00.000Z" })).await;
    assert_eq!(again.problem(), "conflict");
    assert!(actions(&world).await?.contains(&"grant.end".to_owned()));
    Ok(())
}

#[tokio::test]
async fn bad_grants_are_named() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let user = world.user("fire", "mori", false).await?;
    let stranger = world.user("welfare", "hara", false).await?;
    let good = json!({ "user": user, "bucket": "station:a", "role": "reader" });
    for (changes, problem) in [
        (json!({ "role": "king" }), "bad-body"),
        (json!({ "bucket": "station" }), "bad-body"),
        (json!({ "from": "yesterday" }), "bad-body"),
        (json!({ "to": "2020-01-01T00:00:00.000Z" }), "unprocessable"),
        (json!({ "user": stranger }), "not-found"),
    ] {
        let body = crate::support::with(&good, &changes);
        let answer = world.post("/v1/admin/grants", &admin, body).await;
        assert_eq!(answer.problem(), problem, "{changes}: {}", answer.text);
    }
    for query in ["", "?user=x", "?bucket=x"] {
        let answer = world.get(&format!("/v1/admin/grants{query}"), &admin).await;
        assert_eq!(answer.problem(), "bad-parameter", "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_code_made_at_the_console_enrols_and_the_device_can_be_set_aside() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let user = world.user("fire", "mori", false).await?;
    let code = world.post("/v1/admin/codes", &admin, json!({ "user": user })).await.str("code");
    let key = crate::support::Key::ed25519();
    let body = json!({ "tenant": "fire", "code": code, "public_key": key.jwk(), "name": "t" });
    let device = world.ask("/v1/enrol", body).await.str("device");
    let listed = world.get("/v1/admin/devices", &admin).await.json();
    assert_eq!(listed.pointer("/devices/0/id"), Some(&json!(device)));
    assert_eq!(listed.pointer("/devices/0/state"), Some(&json!("active")));
    for (verb, state) in [("revoke", "revoked"), ("stolen", "stolen"), ("stolen", "stolen")] {
        let path = format!("/v1/admin/devices/{device}/{verb}");
        let done = world.call(Method::POST, &path, Some(&admin), None).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.text);
        let listed = world.get(&format!("/v1/admin/devices?user={user}"), &admin).await.json();
        assert_eq!(listed.pointer("/devices/0/state"), Some(&json!(state)));
    }
    let path = format!("/v1/admin/devices/{device}/revoke");
    let back = world.call(Method::POST, &path, Some(&admin), None).await;
    assert_eq!(back.problem(), "conflict", "a stolen device is not merely retired");
    Ok(())
}

#[tokio::test]
async fn forms_are_published_once_and_never_change() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let form = include_str!("../../../fixtures/forms/district.json");
    let form: Value = serde_json::from_str(form)?;
    let made = world.post("/v1/admin/forms", &admin, form.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(world.post("/v1/admin/forms", &admin, form.clone()).await.json(), made.json());
    let changed = crate::support::with(&form, &json!({ "en": "Other" }));
    let refused = world.post("/v1/admin/forms", &admin, changed).await;
    assert_eq!(refused.problem(), "conflict", "{}", refused.text);
    let bad = crate::support::with(&form, &json!({ "fields": 7 }));
    assert_eq!(world.post("/v1/admin/forms", &admin, bad).await.str("reason"), "bad_form");
    let listed = world.get("/v1/admin/forms", &admin).await.json();
    assert_eq!(listed.pointer("/forms/0/type"), Some(&json!("district")));
    Ok(())
}

#[tokio::test]
async fn a_backup_cannot_hold_more_than_there_is() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    for seq in [1, -1] {
        let answer = world.post("/v1/admin/backups", &admin, json!({ "seq": seq })).await;
        assert_eq!(answer.str("reason"), "beyond_head");
    }
    let done = world.post("/v1/admin/backups", &admin, json!({ "seq": 0 })).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    let tenants = world.get("/v1/admin/tenants", &admin).await.json();
    assert_eq!(tenants.pointer("/tenants/0/backup_seq"), Some(&json!(0)));
    assert_eq!(tenants.pointer("/tenants/1"), None, "other tenants do not exist here");
    Ok(())
}

#[tokio::test]
async fn the_trail_comes_in_pages_newest_first() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    for name in ["a", "b", "c"] {
        world.clock.advance(1);
        world.user("fire", name, false).await?;
    }
    let (mut ids, mut query) = (Vec::new(), "limit=2".to_owned());
    for _ in 0..10 {
        let page = world.get(&format!("/v1/admin/audit?{query}"), &admin).await.json();
        let entries = page.get("entries").and_then(Value::as_array).ok_or("entries")?;
        ids.extend(entries.iter().filter_map(|entry| entry.get("id").cloned()));
        let Some(next) = page.get("next").and_then(Value::as_str) else { break };
        query = format!("limit=2&before={next}");
    }
    let all = world.get("/v1/admin/audit?limit=200", &admin).await.json();
    let all: Vec<Value> = all
        .get("entries")
        .and_then(Value::as_array)
        .ok_or("entries")?
        .iter()
        .filter_map(|entry| entry.get("id").cloned())
        .collect();
    assert_eq!(ids, all);
    assert!(all.len() >= 5, "{all:?}");
    for query in ["limit=0", "limit=201", "before=x", "limit=x"] {
        let answer = world.get(&format!("/v1/admin/audit?{query}"), &admin).await;
        assert_eq!(answer.problem(), "bad-parameter", "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn nobody_else_administers_and_nothing_of_another_tenant_is_there() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    world.user("fire", "mori", false).await?;
    let mori = world.sign_in("fire", "mori").await;
    let foreign = world.user("welfare", "hara", false).await?;
    let unknown = "01990000-0000-7000-8000-000000000000";
    for (method, path) in [
        (Method::GET, "/v1/admin/users"),
        (Method::GET, "/v1/admin/devices"),
        (Method::GET, "/v1/admin/audit"),
        (Method::GET, "/v1/admin/forms"),
        (Method::GET, "/v1/admin/tenants"),
    ] {
        let answer = world.call(method, path, Some(&mori), None).await;
        assert_eq!(answer.problem(), "forbidden", "{path}");
    }
    for verb in ["", "/deactivate", "/activate"] {
        let method = if verb.is_empty() { Method::GET } else { Method::POST };
        let of = |id: &str| format!("/v1/admin/users/{id}{verb}");
        let there = world.call(method.clone(), &of(&foreign.to_string()), Some(&admin), None).await;
        let nowhere = world.call(method, &of(unknown), Some(&admin), None).await;
        assert_eq!(there.status, StatusCode::NOT_FOUND, "{verb}");
        assert_eq!(there.text, nowhere.text, "{verb}");
    }
    Ok(())
}

#[tokio::test]
async fn an_administrator_cannot_lock_the_own_account() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let own = world.get("/v1/sessions/current", &admin).await.str("user");
    let path = format!("/v1/admin/users/{own}/deactivate");
    let refused = world.call(Method::POST, &path, Some(&admin), None).await;
    assert_eq!(refused.str("reason"), "own_account");
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_nobody_made_is_named() -> TestResult {
    let world = World::new().await?;
    let actor = Actor { tenant: tenant("nobody-made-it"), user: None };
    let (login, name) = ("mori".to_owned(), "森 花".to_owned());
    let new = NewUser { login, name, admin: false, password: None };
    let made = users::create(&world.state, &actor, new).await;
    assert!(matches!(made, Err(ApiError::NotFound { kind: "tenant" })), "{made:?}");
    let form = include_str!("../../../fixtures/forms/staff.json");
    let published = forms::publish(&world.state, &actor, form).await;
    assert!(matches!(published, Err(ApiError::NotFound { kind: "tenant" })), "{published:?}");
    Ok(())
}
