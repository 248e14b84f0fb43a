//! What is secret or personal never reaches the log, at any level.

use crate::support::{Key, TestResult, World};
use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[tokio::test]
async fn no_canary_is_ever_logged() -> TestResult {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = server::telemetry::subscriber("trace", move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber);

    let world = World::new().await?;
    let admin = world.admin().await?;
    let mut canaries = vec![admin.clone()];
    let mut canary = |what: &str| {
        let planted = format!("kanaria-{what}-7f3a");
        canaries.push(planted.clone());
        planted
    };

    let login = canary("login");
    let body = json!({ "tenant": "fire", "user": login, "password": canary("password") });
    world.ask("/v1/sessions", body).await;
    let body = json!({ "login": canary("new-login"), "name": canary("name"),
        "password": canary("new-password") });
    world.post("/v1/admin/users", &admin, body).await;
    let key = Key::ed25519().jwk();
    let body = json!({ "tenant": "fire", "code": canary("code"), "public_key": key, "name": canary("device") });
    world.ask("/v1/enrol", body).await;
    world.ask("/v1/token", json!({ "assertion": canary("assertion") })).await;
    world.ask("/v1/token", json!({ canary("member"): canary("value") })).await;
    world.get("/v1/sessions/current", &canary("bearer")).await;
    world.get("/v1/live", &format!("{}.a.b", canary("jwt"))).await;
    let path = format!("/{}?{}={}", canary("path"), canary("query"), canary("query-value"));
    world.call(Method::GET, &path, None, None).await;
    let method = Method::from_bytes(canary("method").as_bytes())?;
    world.call(method, "/healthz", None, None).await;
    let path = format!("/v1/admin/users/{}", canary("segment"));
    world.get(&path, &admin).await;
    let odd = Request::get("/v1/sessions/current")
        .header(header::COOKIE, format!("__Host-genba_session={}", canary("cookie")))
        .header(header::USER_AGENT, canary("agent"))
        .header(header::REFERER, canary("referer"))
        .header("x-forwarded-for", canary("forwarded"))
        .header("genba-csrf", canary("csrf"));
    world.send(odd.body(Body::empty())?).await;
    let tablet = world.tablet("fire", &canary("tablet-login")).await?;
    let token = world.token(&tablet).await;
    canaries.push(token.clone());
    world.get("/v1/live", &token).await;

    let log = captured.text();
    assert!(log.contains("\"route\":\"/v1/token\""), "the log was written: {log}");
    for canary in &canaries {
        assert!(!log.contains(canary.as_str()), "{canary} was logged");
    }
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line)?;
    }
    Ok(())
}
