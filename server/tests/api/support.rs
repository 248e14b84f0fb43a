//! A server to call, and keys to call it with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt as _;
use object_store::ObjectStore;
use serde_json::{Value, json};
use server::admin::users::{NewUser, create};
use server::admin::{Actor, devices, tenants};
use server::clock::ManualClock;
use server::config::Config;
use server::random::SeededRandom;
use server::{AppState, Parts};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::testing::TestStore;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Tenant, UserId};
use tower::ServiceExt as _;

pub(crate) use storage::testing::TestResult;

/// 2026-11-22T14:03:11.201Z
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_356_191_201);
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server in this process, on a database of its own.
pub(crate) struct World {
    pub(crate) state: AppState,
    pub(crate) app: Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) base: TestStore,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The name of the problem, or an empty text.
    pub(crate) fn problem(&self) -> String {
        let kind = self.json().get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        kind.trim_start_matches("/problems/").to_owned()
    }

    pub(crate) fn str(&self, member: &str) -> String {
        self.json().get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// A seed that no other server of this process has: no two of them give the same name to an object.
fn fresh_seed() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

pub(crate) fn tenant(name: &str) -> Tenant {
    name.parse().expect("a tenant")
}

impl World {
    /// A server with the tenants `fire` and `welfare`.
    pub(crate) async fn new() -> TestResult<Self> {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> TestResult<Self> {
        Self::over(storage::testing::sqlite().await?, config).await
    }

    /// The same over PostgreSQL.
    pub(crate) async fn on_postgres() -> TestResult<Self> {
        Self::over(storage::testing::postgres().await?, Config::default()).await
    }

    /// Another server on the same database, with the same clock.
    pub(crate) async fn neighbour(&self) -> TestResult<AppState> {
        let parts = Parts {
            store: self.state.store.clone(),
            clock: Arc::<ManualClock>::clone(&self.clock),
            random: Arc::new(SeededRandom::new(fresh_seed())),
            objects: Arc::clone(&self.objects),
            config: Arc::clone(&self.state.config),
        };
        Ok(AppState::open(parts).await?)
    }

    async fn over(base: TestStore, config: Config) -> TestResult<Self> {
        Self::over_objects(base, config, server::media::in_memory()).await
    }

    /// A server on this database and this object store.
    pub(crate) async fn over_objects(
        base: TestStore,
        config: Config,
        objects: Arc<dyn ObjectStore>,
    ) -> TestResult<Self> {
        let clock = Arc::new(ManualClock::at(NOW));
        let state = AppState::open(Parts {
            store: base.store.clone(),
            clock: Arc::<ManualClock>::clone(&clock),
            random: Arc::new(SeededRandom::new(fresh_seed())),
            objects: Arc::clone(&objects),
            config: Arc::new(config),
        })
        .await?;
        for (id, name) in [("fire", "消防局"), ("welfare", "福祉局")] {
            tenants::create(&state, tenant(id), name, id, "Asia/Tokyo").await?;
        }
        let app = server::app(&state);
        Ok(Self { state, app, clock, objects, base })
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let Ok(response) = self.app.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes =
            body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        self.send(request.body(body).expect("a request")).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, Some(token), None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(token), Some(body)).await
    }

    /// Posts without credentials.
    pub(crate) async fn ask(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, None, Some(body)).await
    }

    pub(crate) async fn user(&self, place: &str, login: &str, admin: bool) -> TestResult<UserId> {
        let actor = Actor { tenant: tenant(place), user: None };
        let password = Some(PASSWORD.to_owned());
        let new = NewUser { login: login.to_owned(), name: login.to_owned(), admin, password };
        Ok(create(&self.state, &actor, new).await?.id)
    }

    pub(crate) async fn code(&self, place: &str, user: UserId) -> TestResult<String> {
        let actor = Actor { tenant: tenant(place), user: None };
        Ok(devices::code(&self.state, &actor, user).await?.0)
    }

    /// Signs in and gives the session's token.
    pub(crate) async fn sign_in(&self, place: &str, login: &str) -> String {
        let body = json!({ "tenant": place, "user": login, "password": PASSWORD });
        let answer = self.ask("/v1/sessions", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.str("token")
    }

    /// An administrator of `fire`, signed in.
    pub(crate) async fn admin(&self) -> TestResult<String> {
        self.user("fire", "admin", true).await?;
        Ok(self.sign_in("fire", "admin").await)
    }

    /// A tablet of a new user of `place`.
    pub(crate) async fn tablet(&self, place: &str, login: &str) -> TestResult<Tablet> {
        let user = self.user(place, login, false).await?;
        let key = Key::ed25519();
        let code = self.code(place, user).await?;
        let body =
            json!({ "tenant": place, "code": code, "public_key": key.jwk(), "name": "tablet" });
        let answer = self.ask("/v1/enrol", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        Ok(Tablet { user, device: answer.str("device"), key })
    }

    pub(crate) async fn nonce(&self) -> String {
        self.call(Method::POST, "/v1/nonce", None, None).await.str("nonce")
    }

    /// Exchanges a good assertion of a tablet.
    pub(crate) async fn exchange(&self, tablet: &Tablet) -> Answer {
        let text = tablet.assertion(&self.nonce().await);
        self.ask("/v1/token", json!({ "assertion": text })).await
    }

    /// An access token of a tablet.
    pub(crate) async fn token(&self, tablet: &Tablet) -> String {
        let answer = self.exchange(tablet).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.str("access_token")
    }
}

/// An enrolled device.
pub(crate) struct Tablet {
    pub(crate) user: UserId,
    pub(crate) device: String,
    pub(crate) key: Key,
}

impl Tablet {
    pub(crate) fn claims(&self, nonce: &str) -> Value {
        json!({ "iss": self.device, "sub": self.device, "aud": "genba", "nonce": nonce,
            "jti": format!("j-{nonce}"), "iat": 1 })
    }

    pub(crate) fn assertion(&self, nonce: &str) -> String {
        self.key.sign(&self.key.header("genba-assertion+jwt"), &self.claims(nonce))
    }
}

/// A key pair of a device, or of somebody who pretends.
pub(crate) enum Key {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Key {
    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Box::new(Ed25519KeyPair::generate().expect("a key")))
    }

    pub(crate) fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self::P256(Box::new(pair))
    }

    pub(crate) fn stored(pkcs8: &[u8]) -> Self {
        Self::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(pkcs8).expect("a key")))
    }

    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                let x = URL_SAFE_NO_PAD.encode(point.get(1..33).unwrap_or_default());
                let y = URL_SAFE_NO_PAD.encode(point.get(33..65).unwrap_or_default());
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
            }
        }
    }

    pub(crate) fn header(&self, typ: &str) -> Value {
        let alg = match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
        };
        json!({ "alg": alg, "typ": typ })
    }

    /// Signs whatever header and claims are given.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = match self {
            Self::Ed25519(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Self::P256(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message.as_bytes());
                signed.expect("signed").as_ref().to_vec()
            }
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The two first parts of a token.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// `base` with the members of `changes`; a null takes a member away.
pub(crate) fn with(base: &Value, changes: &Value) -> Value {
    let mut result = base.clone();
    if let (Some(to), Some(from)) = (result.as_object_mut(), changes.as_object()) {
        for (name, value) in from {
            if value.is_null() {
                to.remove(name);
            } else {
                to.insert(name.clone(), value.clone());
            }
        }
    }
    result
}
