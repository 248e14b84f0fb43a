//! Attacks on assertions, access tokens and console sessions: every one is refused, none breaks the server.

use crate::support::{Key, Tablet, TestResult, World, tenant, unsigned, with};
use aws_lc_rs::hmac;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use server::admin::{Actor, devices, users};
use server::auth::keyring::{self, PURPOSE};
use storage::DeviceState;

fn hmac_signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = unsigned(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

fn cut(token: &str) -> &str {
    token.rsplit_once('.').map_or(token, |(message, _)| message)
}

/// Assertions of `tablet` that are wrong in one way each; every one carries a fresh nonce.
async fn bad_assertions(world: &World, tablet: &Tablet, other: &Tablet) -> Vec<(String, String)> {
    let mut cases = Vec::new();
    let key = &tablet.key;
    let header = key.header("genba-assertion+jwt");
    let public = key.jwk();
    let x = public.get("x").and_then(Value::as_str).unwrap_or_default().to_owned();

    for (name, changes) in [
        ("alg none", json!({"alg":"none"})),
        ("alg NONE", json!({"alg":"NONE"})),
        ("alg ES256 for an Ed25519 key", json!({"alg":"ES256"})),
        ("alg RS256", json!({"alg":"RS256"})),
        ("alg unknown", json!({"alg":"XX999"})),
        ("no alg", json!({"alg":null})),
        ("typ JWT", json!({"typ":"JWT"})),
        ("typ of an access token", json!({"typ":"at+jwt"})),
        ("no typ", json!({"typ":null})),
        ("typ a number", json!({"typ":7})),
        ("jku", json!({"jku":"https://evil.example/keys"})),
        ("x5u", json!({"x5u":"https://evil.example/cert"})),
        ("x5c", json!({"x5c":["AAAA"]})),
        ("jwk of the signer", json!({"jwk": public})),
        ("crit", json!({"crit":["b64"],"b64":false})),
        ("zip", json!({"zip":"DEF"})),
    ] {
        let claims = tablet.claims(&world.nonce().await);
        cases.push((name.to_owned(), key.sign(&with(&header, &changes), &claims)));
    }
    let stranger = "01990000-0000-7000-8000-000000000000";
    for (name, changes) in [
        ("aud of another server", json!({"aud":"elsewhere"})),
        ("aud a list", json!({"aud":["genba","elsewhere"]})),
        ("no aud", json!({"aud":null})),
        ("iss of an unknown device", json!({"iss":stranger,"sub":stranger})),
        ("iss of another device", json!({"iss":other.device,"sub":other.device})),
        ("sub of another device", json!({"sub":other.device})),
        ("no sub", json!({"sub":null})),
        ("iss a number", json!({"iss":7})),
        ("iss in upper case", json!({"iss":tablet.device.to_uppercase()})),
        ("no iat", json!({"iat":null})),
        ("iat a text", json!({"iat":"now"})),
        ("exp a text", json!({"exp":"9999999999"})),
        ("nbf a text", json!({"nbf":"1"})),
        ("no jti", json!({"jti":null})),
        ("jti empty", json!({"jti":""})),
        ("no nonce", json!({"nonce":null})),
        ("nonce empty", json!({"nonce":""})),
        ("nonce made up", json!({"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})),
        ("nonce too long", json!({"nonce":"A".repeat(129)})),
    ] {
        let claims = with(&tablet.claims(&world.nonce().await), &changes);
        cases.push((name.to_owned(), key.sign(&header, &claims)));
    }
    let claims = tablet.claims(&world.nonce().await);
    let hs = json!({"alg":"HS256","typ":"genba-assertion+jwt"});
    let raw = URL_SAFE_NO_PAD.decode(&x).unwrap_or_default();
    let good = key.sign(&header, &claims);
    let foreign = other.key.sign(&header, &claims);
    let stranger = Key::ed25519().sign(&header, &claims);
    let curve = Key::p256();
    let curve = curve.sign(&curve.header("genba-assertion+jwt"), &claims);
    for (name, token) in [
        ("HS256 with the public key", hmac_signed(&hs, &claims, &raw)),
        ("HS256 with the key's text", hmac_signed(&hs, &claims, x.as_bytes())),
        ("another device's key", foreign),
        ("a key that nobody enrolled", stranger),
        ("a key of the other curve", curve),
        ("no signature", format!("{}.", cut(&good))),
        ("two parts", cut(&good).to_owned()),
        ("zero signature", format!("{}.{}", cut(&good), URL_SAFE_NO_PAD.encode([0; 64]))),
        ("short signature", format!("{}.AAAA", cut(&good))),
        ("padded", format!("{good}==")),
        ("four parts", format!("{good}.AAAA")),
        ("a text", "assertion".to_owned()),
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("no base64", "é.é.é".to_owned()),
        ("60 KiB", format!("{good}{}", "A".repeat(60 * 1024))),
        ("claims a list", key.sign(&header, &json!([1, 2]))),
        ("header a list", key.sign(&json!(["EdDSA"]), &claims)),
    ] {
        cases.push((name.to_owned(), token));
    }
    cases
}

#[tokio::test]
async fn every_bad_assertion_is_refused_and_the_good_one_still_holds() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let other = world.tablet("welfare", "hara").await?;
    let cases = bad_assertions(&world, &tablet, &other).await;
    assert!(cases.len() >= 50, "{}", cases.len());
    for (name, assertion) in cases {
        let answer = world.ask("/v1/token", json!({ "assertion": assertion })).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {}", answer.text);
        assert_eq!(answer.problem(), "unauthorised", "{name}");
    }
    assert_eq!(world.exchange(&tablet).await.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_assertion_over_the_body_limit_is_too_large() -> TestResult {
    let world = World::new().await?;
    let answer = world.ask("/v1/token", json!({ "assertion": "A".repeat(64 * 1024) })).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "too-large"));
    Ok(())
}

#[tokio::test]
async fn a_nonce_is_good_once_and_for_five_minutes() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let nonce = world.nonce().await;
    let assertion = json!({ "assertion": tablet.assertion(&nonce) });
    assert_eq!(world.ask("/v1/token", assertion.clone()).await.status, StatusCode::OK);
    let replayed = world.ask("/v1/token", assertion).await;
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED, "the same assertion again");
    let again = with(&tablet.claims(&nonce), &json!({"jti":"another"}));
    let again = tablet.key.sign(&tablet.key.header("genba-assertion+jwt"), &again);
    let again = world.ask("/v1/token", json!({ "assertion": again })).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "the same nonce again");

    let late = tablet.assertion(&world.nonce().await);
    world.clock.advance(5 * 60 * 1_000);
    let late = world.ask("/v1/token", json!({ "assertion": late })).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "an old nonce");
    Ok(())
}

#[tokio::test]
async fn a_wrong_clock_of_the_tablet_locks_nobody_out() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    for iat in [0_i64, -1, 253_402_300_799, i64::MAX] {
        let claims = with(&tablet.claims(&world.nonce().await), &json!({ "iat": iat }));
        let text = tablet.key.sign(&tablet.key.header("genba-assertion+jwt"), &claims);
        let answer = world.ask("/v1/token", json!({ "assertion": text })).await;
        assert_eq!(answer.status, StatusCode::OK, "{iat}: {}", answer.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_device_on_p256_is_as_good() -> TestResult {
    let world = World::new().await?;
    let user = world.user("fire", "mori", false).await?;
    let (code, key) = (world.code("fire", user).await?, Key::p256());
    let body = json!({ "tenant": "fire", "code": code, "public_key": key.jwk(), "name": "t" });
    let device = world.ask("/v1/enrol", body).await.str("device");
    let tablet = Tablet { user, device, key };
    let token = world.token(&tablet).await;
    assert_eq!(world.get("/v1/live", &token).await.problem(), "upgrade-required");
    Ok(())
}

/// A tablet's route that answers 426 to those who are let in.
const TABLET_ROUTE: &str = "/v1/live";

/// Access tokens that are wrong in one way each, most of them signed by the server's own key.
async fn bad_access_tokens(
    world: &World,
    tablet: &Tablet,
    other: &Tablet,
) -> TestResult<Vec<(String, String)>> {
    let stored = world.state.store.read().await?.keys().list(PURPOSE).await?;
    let stored = stored.first().ok_or("a key")?;
    let key = Key::stored(&stored.pkcs8);
    let header = with(&key.header("at+jwt"), &json!({ "kid": stored.kid }));
    let now = world.state.clock.now().0 / 1_000;
    let good = json!({ "iss": "genba", "aud": "genba", "sub": tablet.user, "tenant": "fire",
        "device": tablet.device, "scope": "full", "jti": "01990000-0000-7000-8000-000000000001",
        "iat": now, "nbf": now, "exp": now + 300 });
    let accepted = world.get(TABLET_ROUTE, &key.sign(&header, &good)).await;
    assert_eq!(accepted.status.as_u16(), 426, "the base of all cases holds: {}", accepted.text);

    let mut cases = Vec::new();
    for (name, changes) in [
        ("exp a text", json!({"exp": (now + 300).to_string()})),
        ("exp a fraction", json!({"exp": 1.5})),
        ("exp gone", json!({"exp": now - 31, "iat": now - 331, "nbf": now - 331})),
        ("exp far", json!({"exp": now + 86_400})),
        ("no exp", json!({"exp": null})),
        ("nbf far", json!({"nbf": now + 31})),
        ("nbf a text", json!({"nbf": "0"})),
        ("no nbf", json!({"nbf": null})),
        ("iat in the future", json!({"iat": now + 31, "exp": now + 331})),
        ("no iat", json!({"iat": null})),
        ("iss of another server", json!({"iss": "elsewhere"})),
        ("no iss", json!({"iss": null})),
        ("aud of another server", json!({"aud": "elsewhere"})),
        ("aud a list", json!({"aud": ["genba"]})),
        ("no aud", json!({"aud": null})),
        ("sub of another user", json!({"sub": other.user})),
        ("no sub", json!({"sub": null})),
        ("device of another tenant", json!({"device": other.device})),
        ("no device", json!({"device": null})),
        ("another tenant", json!({"tenant": "welfare"})),
        ("an unknown tenant", json!({"tenant": "nowhere"})),
        ("tenant with a path", json!({"tenant": "../fire"})),
        ("no tenant", json!({"tenant": null})),
        ("an unknown scope", json!({"scope": "admin"})),
        ("no scope", json!({"scope": null})),
        ("no jti", json!({"jti": null})),
        ("jti a number", json!({"jti": 1})),
    ] {
        cases.push((name.to_owned(), key.sign(&header, &with(&good, &changes))));
    }
    for (name, changes) in [
        ("alg none", json!({"alg":"none"})),
        ("alg HS256", json!({"alg":"HS256"})),
        ("alg ES256", json!({"alg":"ES256"})),
        ("typ JWT", json!({"typ":"JWT"})),
        ("typ of an assertion", json!({"typ":"genba-assertion+jwt"})),
        ("no typ", json!({"typ":null})),
        ("no kid", json!({"kid":null})),
        ("kid unknown", json!({"kid":"AAAA"})),
        ("kid a path", json!({"kid":"../../etc/passwd"})),
        ("kid a query", json!({"kid":"' or 1=1 --"})),
        ("jku", json!({"jku":"https://evil.example/keys"})),
        ("x5u", json!({"x5u":"https://evil.example/cert"})),
        ("jwk", json!({"jwk": key.jwk()})),
        ("crit", json!({"crit":["exp"]})),
    ] {
        cases.push((name.to_owned(), key.sign(&with(&header, &changes), &good)));
    }
    let signed = key.sign(&header, &good);
    let hs = with(&header, &json!({"alg":"HS256"}));
    cases.push((
        "HS256 with the public key".into(),
        hmac_signed(&hs, &good, stored.public_jwk.as_bytes()),
    ));
    cases.push(("a foreign key with our kid".into(), Key::ed25519().sign(&header, &good)));
    cases.push(("the device's key with our kid".into(), tablet.key.sign(&header, &good)));
    cases.push(("no signature".into(), format!("{}.", cut(&signed))));
    cases.push((
        "zero signature".into(),
        format!("{}.{}", cut(&signed), URL_SAFE_NO_PAD.encode([0; 64])),
    ));
    cases.push(("other claims, same signature".into(), {
        let claims = unsigned(&header, &with(&good, &json!({"scope":"deposit"})));
        format!("{claims}.{}", signed.rsplit('.').next().unwrap_or_default())
    }));
    cases.push(("64 KiB".into(), format!("{signed}{}", "A".repeat(64 * 1024))));
    cases.push(("an assertion".into(), tablet.assertion(&world.nonce().await)));
    Ok(cases)
}

#[tokio::test]
async fn every_bad_access_token_is_refused() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let other = world.tablet("welfare", "hara").await?;
    let cases = bad_access_tokens(&world, &tablet, &other).await?;
    assert!(cases.len() >= 45, "{}", cases.len());
    for (name, token) in cases {
        let answer = world.get(TABLET_ROUTE, &token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {}", answer.text);
    }
    Ok(())
}

#[tokio::test]
async fn an_access_token_lives_five_minutes_and_a_little_leeway() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    world.clock.advance(329 * 1_000);
    assert_eq!(world.get(TABLET_ROUTE, &token).await.status.as_u16(), 426);
    world.clock.advance(2_000);
    assert_eq!(world.get(TABLET_ROUTE, &token).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_rotated_key_verifies_for_a_day_and_then_no_more() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let before = world.token(&tablet).await;
    let now = world.state.clock.now();
    keyring::rotate(&world.state.store, &*world.state.random, now).await?;
    world.state.keys.refresh(&world.state.store, now).await?;
    let after = world.token(&tablet).await;
    let kid = |token: &str| token.split('.').next().map(ToOwned::to_owned);
    assert_ne!(kid(&before), kid(&after), "new tokens are signed by the new key");
    for token in [&before, &after] {
        assert_eq!(world.get(TABLET_ROUTE, token).await.status.as_u16(), 426);
    }
    let jwks = world.get("/.well-known/jwks.json", "").await.json();
    assert_eq!(jwks.pointer("/keys/1/kty"), Some(&json!("OKP")));
    let later = now.plus(keyring::OVERLAP_MS);
    world.state.keys.refresh(&world.state.store, later).await?;
    let jwks = world.get("/.well-known/jwks.json", "").await.json();
    assert_eq!(jwks.get("keys").and_then(Value::as_array).map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_key_that_another_server_made_is_known_at_once_and_a_leaked_one_is_void() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let before = world.token(&tablet).await;
    let neighbour = world.neighbour().await?;
    let now = world.state.clock.now();
    keyring::replace(&neighbour.store, &*neighbour.random, now, 0).await?;
    neighbour.keys.refresh(&neighbour.store, now).await?;
    let text = json!({ "assertion": tablet.assertion(&world.nonce().await) });
    let request = axum::http::Request::post("/v1/token")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(text.to_string()))?;
    let answer = tower::ServiceExt::oneshot(server::app(&neighbour), request).await?;
    let body = http_body_util::BodyExt::collect(answer.into_body()).await?.to_bytes();
    let body: Value = serde_json::from_slice(&body)?;
    let after = body.get("access_token").and_then(Value::as_str).ok_or("a token")?;
    assert_eq!(world.get(TABLET_ROUTE, after).await.status.as_u16(), 426);
    assert_eq!(world.get(TABLET_ROUTE, &before).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_revoked_device_may_only_hand_in_and_a_stolen_one_nothing() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let full = world.token(&tablet).await;
    let actor = Actor { tenant: tenant("fire"), user: None };
    let device = tablet.device.parse()?;
    devices::set_aside(&world.state, &actor, device, DeviceState::Revoked).await?;
    let answer = world.get(TABLET_ROUTE, &full).await;
    assert_eq!(answer.problem(), "forbidden", "a token of before loses its scope at once");
    assert_eq!(world.exchange(&tablet).await.str("scope"), "deposit");

    devices::set_aside(&world.state, &actor, device, DeviceState::Stolen).await?;
    assert_eq!(world.get(TABLET_ROUTE, &full).await.problem(), "device-stolen");
    let refused = world.exchange(&tablet).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (403, "device-stolen"));
    let trail = world.state.store.read().await?.audit().list(&actor.tenant, None, 100).await?;
    assert!(trail.iter().any(|entry| entry.action == "device.stolen_called"), "{trail:?}");
    Ok(())
}

#[tokio::test]
async fn a_device_of_someone_who_left_may_only_hand_in() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let full = world.token(&tablet).await;
    world.clock.advance(2_000);
    let actor = Actor { tenant: tenant("fire"), user: None };
    users::set_active(&world.state, &actor, tablet.user, false).await?;
    assert_eq!(world.get(TABLET_ROUTE, &full).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.exchange(&tablet).await.str("scope"), "deposit");
    Ok(())
}

#[tokio::test]
async fn a_tablets_token_is_no_console_session_and_the_reverse() -> TestResult {
    let world = World::new().await?;
    let admin = world.admin().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    for path in ["/v1/sessions/current", "/v1/admin/users"] {
        assert_eq!(world.get(path, &token).await.problem(), "forbidden", "{path}");
    }
    assert_eq!(world.get(TABLET_ROUTE, &admin).await.problem(), "forbidden");
    Ok(())
}
