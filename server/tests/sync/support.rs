//! A server in this process, its people, and tablets that say exactly what a test wants them to say.

use crate::forms::{NOTE, VISIT};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Collected};
use serde_json::{Value, json};
use server::admin::grants::{self, NewGrant};
use server::admin::users::{self, NewUser};
use server::admin::{Actor, devices, forms, tenants};
use server::auth::access::{Bearer, Scope, sign};
use server::clock::{Clock as _, ManualClock};
use server::config::Config;
use server::random::SeededRandom;
use server::{AppState, Parts};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use storage::testing::TestResult;
use storage::{Device, DeviceState, Grant, Store};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Role;
use sync_protocol::id::{DeviceId, Tenant, UserId};
use tower::ServiceExt as _;
use uuid::Uuid;

/// 2026-11-22T14:03:11.201Z
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_356_191_201);
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;
/// The bucket in which most tests play.
pub(crate) const SOUTH: &str = "station:south";
/// Another one.
pub(crate) const NORTH: &str = "station:north";

/// A server on one store.
pub(crate) struct World {
    pub(crate) state: AppState,
    pub(crate) app: Router,
    pub(crate) clock: Arc<ManualClock>,
    ids: AtomicU64,
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

    /// The status and the name of the problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), kind.trim_start_matches("/problems/").to_owned())
    }

    /// The answer, which must be a success.
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json()
    }

    /// Asserts the status and the name of the problem.
    pub(crate) fn refused(&self, status: u16, name: &str) {
        assert_eq!(self.problem(), (status, name.to_owned()), "{}", self.text);
    }
}

pub(crate) fn tenant(name: &str) -> Tenant {
    name.parse().expect("a tenant")
}

impl World {
    /// A server with the tenants `fire` and `welfare`, and the forms of `fire`.
    pub(crate) async fn new(store: Store) -> TestResult<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let clock = Arc::new(ManualClock::at(NOW));
        let state = AppState::open(Parts {
            store,
            clock: Arc::<ManualClock>::clone(&clock),
            random: Arc::new(SeededRandom::new(NEXT.fetch_add(1, Ordering::SeqCst))),
            objects: server::media::in_memory(),
            config: Arc::new(Config::default()),
        })
        .await?;
        for (id, name) in [("fire", "消防局"), ("welfare", "福祉局")] {
            tenants::create(&state, tenant(id), name, id, "Asia/Tokyo").await?;
        }
        let app = server::app(&state);
        let world = Self { state, app, clock, ids: AtomicU64::new(1) };
        for place in ["fire", "welfare"] {
            world.publish_in(place, VISIT).await?;
            world.publish_in(place, NOTE).await?;
        }
        Ok(world)
    }

    pub(crate) async fn publish(&self, form: &str) -> TestResult {
        self.publish_in("fire", form).await
    }

    async fn publish_in(&self, place: &str, form: &str) -> TestResult {
        forms::publish(&self.state, &Actor { tenant: tenant(place), user: None }, form).await?;
        Ok(())
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// A UUIDv7 that no other call gives, in rising order.
    pub(crate) fn id(&self) -> String {
        let next = self.ids.fetch_add(1, Ordering::SeqCst);
        format!("01990000-0000-7000-8000-{next:012x}")
    }

    pub(crate) async fn user(&self, login: &str) -> TestResult<UserId> {
        self.user_in("fire", login).await
    }

    pub(crate) async fn user_in(&self, place: &str, login: &str) -> TestResult<UserId> {
        let actor = Actor { tenant: tenant(place), user: None };
        let new = NewUser {
            login: login.to_owned(),
            name: login.to_owned(),
            admin: false,
            password: None,
        };
        Ok(users::create(&self.state, &actor, new).await?.id)
    }

    /// Grants a bucket of `fire` from now on, for tablets to hold.
    pub(crate) async fn grant(&self, user: UserId, bucket: &str, role: Role) -> TestResult<Grant> {
        self.grant_as("fire", user, bucket, role, |_| ()).await
    }

    pub(crate) async fn grant_as(
        &self,
        place: &str,
        user: UserId,
        bucket: &str,
        role: Role,
        change: impl FnOnce(&mut NewGrant),
    ) -> TestResult<Grant> {
        let mut new = NewGrant {
            user,
            bucket: bucket.parse()?,
            role,
            from_at: None,
            to_at: None,
            hold: true,
        };
        change(&mut new);
        let actor = Actor { tenant: tenant(place), user: None };
        Ok(grants::create(&self.state, &actor, new).await?)
    }

    pub(crate) async fn end(&self, grant: &Grant) -> TestResult {
        let actor = Actor { tenant: tenant("fire"), user: None };
        Ok(grants::end(&self.state, &actor, grant.id, None).await?)
    }

    /// A new tablet of a user of `fire`.
    pub(crate) async fn tablet(&self, user: UserId) -> TestResult<Tablet> {
        self.tablet_in("fire", user).await
    }

    pub(crate) async fn tablet_in(&self, place: &str, user: UserId) -> TestResult<Tablet> {
        let device = DeviceId(self.id().parse()?);
        let row = Device {
            id: device,
            user,
            name: "tablet".to_owned(),
            public_key: "{}".to_owned(),
            thumbprint: device.to_string(),
            enrolled_at: self.now(),
            state: DeviceState::Active,
            state_at: self.now(),
            last_seen_at: None,
            last_seq: None,
        };
        let mut tx = self.state.store.write().await?;
        tx.devices().insert(&tenant(place), &row).await?;
        tx.commit().await?;
        Ok(Tablet {
            place: place.to_owned(),
            user,
            device,
            replica: self.id(),
            lease: Value::Null,
            epoch: Value::Null,
            cursor: Value::Null,
            have: Vec::new(),
            snap: Vec::new(),
            next: 1,
        })
    }

    /// An inspector of [`SOUTH`] with a tablet.
    pub(crate) async fn inspector(&self, login: &str) -> TestResult<Tablet> {
        self.person(login, SOUTH, Role::Inspector).await
    }

    /// A user of `fire` with a role in one bucket, and a tablet.
    pub(crate) async fn person(&self, login: &str, bucket: &str, role: Role) -> TestResult<Tablet> {
        let user = self.user(login).await?;
        self.grant(user, bucket, role).await?;
        self.tablet(user).await
    }

    pub(crate) async fn set_aside(&self, tablet: &Tablet, state: DeviceState) -> TestResult {
        let actor = Actor { tenant: tenant(&tablet.place), user: None };
        Ok(devices::set_aside(&self.state, &actor, tablet.device, state).await?)
    }

    pub(crate) fn token(&self, tablet: &Tablet) -> String {
        let bearer = Bearer {
            tenant: tenant(&tablet.place),
            user: tablet.user,
            device: tablet.device,
            scope: Scope::Full,
        };
        let (keys, names) = (self.state.keys.now(), &self.state.names);
        sign(&keys, names, bearer, Uuid::nil(), self.now()).expect("signed")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let Ok(response) = self.app.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn call(
        &self,
        tablet: &Tablet,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(tablet)));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, Body::from);
        self.send(request.body(body).expect("a request")).await
    }

    pub(crate) async fn get(&self, tablet: &Tablet, path: &str) -> Answer {
        self.call(tablet, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, tablet: &Tablet, path: &str, body: &Value) -> Answer {
        self.call(tablet, Method::POST, path, Some(body.to_string())).await
    }

    /// Posts a text to `/v1/sync` as it is.
    pub(crate) async fn post_sync(&self, tablet: &Tablet, text: impl Into<String>) -> Answer {
        self.call(tablet, Method::POST, "/v1/sync", Some(text.into())).await
    }

    /// What GET shows of a record.
    pub(crate) async fn record(&self, tablet: &Tablet, rec: &str) -> Value {
        self.get(tablet, &format!("/v1/records/{rec}")).await.ok()
    }

    /// A draft of a change by the user of a tablet, of type `visit`.
    pub(crate) fn draft(&self, author: &Tablet, rec: &str, ops: Value) -> Draft {
        let mut value = json!({
            "id": self.id(), "rec": rec, "type": "visit", "sv": 3, "at": self.now().to_string(),
            "by": author.user,
        });
        value["ops"] = ops;
        Draft(value)
    }

    /// A draft that begins a visit in a bucket with a title.
    pub(crate) fn new_visit(&self, author: &Tablet, bucket: &str) -> Draft {
        let ops = json!([{ "o": "new", "in": bucket }, set("title", "first", &[])]);
        self.draft(author, &self.id(), ops)
    }

    /// The head of `fire`.
    pub(crate) async fn head(&self) -> TestResult<i64> {
        Ok(self.state.store.read().await?.head().read(&tenant("fire")).await?.seq.0)
    }
}

/// An op that sets a field.
pub(crate) fn set(field: &str, value: impl Into<Value>, x: &[String]) -> Value {
    json!({ "o": "set", "f": field, "v": value.into(), "x": x })
}

/// A change that is not frozen yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft(pub(crate) Value);

impl Draft {
    pub(crate) fn id(&self) -> String {
        self.0["id"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn rec(&self) -> String {
        self.0["rec"].as_str().unwrap_or_default().to_owned()
    }

    /// The dot of the op at `index`.
    pub(crate) fn dot(&self, index: usize) -> String {
        format!("{}.{index}", self.id())
    }

    /// The same with other members; a null takes a member away.
    pub(crate) fn with(&self, changes: Value) -> Self {
        let mut value = self.0.clone();
        if let (Some(members), Value::Object(changes)) = (value.as_object_mut(), changes) {
            for (name, change) in changes {
                if change.is_null() {
                    members.remove(&name);
                } else {
                    members.insert(name, change);
                }
            }
        }
        Self(value)
    }

    /// The frozen text.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// A tablet: what it knows, and nothing of its own mind.
#[derive(Clone, Debug)]
pub(crate) struct Tablet {
    pub(crate) place: String,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) replica: String,
    pub(crate) lease: Value,
    pub(crate) epoch: Value,
    pub(crate) cursor: Value,
    pub(crate) have: Vec<String>,
    pub(crate) snap: Vec<Value>,
    /// The n of the next change.
    pub(crate) next: i64,
}

impl Tablet {
    /// The envelope of a request, without changes.
    pub(crate) fn envelope(&self, world: &World) -> Value {
        json!({
            "v": 1, "replica": self.replica, "attempt": world.id(), "lease": self.lease,
            "clock": { "now": world.now().to_string(), "mono": 1_000_000, "boot": "b" },
            "epoch": self.epoch, "cursor": self.cursor, "have": self.have, "snap": self.snap,
            "push": { "from": self.next, "changes": [] },
        })
    }

    /// The text of a request with frozen texts in it, verbatim.
    pub(crate) fn request(&self, world: &World, texts: &[String]) -> String {
        with_changes(&self.envelope(world), texts)
    }

    /// Syncs once, which must succeed, and takes the answer over.
    pub(crate) async fn sync(&mut self, world: &World, drafts: &[&Draft]) -> Value {
        let texts: Vec<String> = drafts.iter().map(|draft| draft.text()).collect();
        self.sync_texts(world, &texts).await
    }

    pub(crate) async fn sync_texts(&mut self, world: &World, texts: &[String]) -> Value {
        let answer = world.post_sync(self, self.request(world, texts)).await.ok();
        self.next += i64::try_from(texts.len()).unwrap_or_default();
        self.take(&answer);
        answer
    }

    /// Pushes one change and gives its result.
    pub(crate) async fn push(&mut self, world: &World, draft: &Draft) -> Value {
        self.sync(world, &[draft]).await["results"][0].clone()
    }

    /// Syncs until nothing more is ready, and gives all answers.
    pub(crate) async fn drain(&mut self, world: &World) -> Vec<Value> {
        let mut answers = Vec::new();
        for _ in 0..100 {
            answers.push(self.sync(world, &[]).await);
            if answers.last().is_some_and(|answer| answer["more"] == false) {
                return answers;
            }
        }
        panic!("a hundred pages and still more");
    }

    /// Does what sync.md asks of a tablet with an answer, as far as holdings go.
    pub(crate) fn take(&mut self, answer: &Value) {
        self.lease = answer["lease"].clone();
        self.epoch = answer["epoch"].clone();
        self.cursor = answer["cursor"].clone();
        for leave in items(&answer["leave"]).iter().filter(|leave| leave["rec"].is_null()) {
            self.have.retain(|bucket| leave["bucket"] != **bucket);
            self.snap.retain(|snap| leave["bucket"] != snap["bucket"]);
        }
        for snap in items(&answer["snap"]) {
            self.snap.retain(|known| known["bucket"] != snap["bucket"]);
            if snap["token"].is_null() {
                self.have.push(snap["bucket"].as_str().unwrap_or_default().to_owned());
            } else {
                self.snap.push(snap);
            }
        }
        for enter in items(&answer["enter"]) {
            self.have.retain(|bucket| enter["bucket"] != **bucket);
            self.snap.retain(|snap| enter["bucket"] != snap["bucket"]);
            self.snap.push(json!({ "bucket": enter["bucket"], "token": enter["token"] }));
        }
    }
}

/// The items of an array; none of anything else.
pub(crate) fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// An envelope with these texts as its changes, verbatim.
pub(crate) fn with_changes(envelope: &Value, texts: &[String]) -> String {
    let mut envelope = envelope.clone();
    envelope["push"]["changes"] = json!("@");
    envelope.to_string().replace("\"@\"", &format!("[{}]", texts.join(",")))
}

/// The outcomes of an answer, as `st` or `dup:was`, with why or code.
pub(crate) fn outcomes(answer: &Value) -> Vec<String> {
    items(&answer["results"]).iter().map(outcome).collect()
}

/// One outcome: `ok`, `late sealed`, `quarantined forbidden`, `dup ok` …
pub(crate) fn outcome(result: &Value) -> String {
    ["st", "was", "why", "code"]
        .iter()
        .filter_map(|name| result[*name].as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The records of an answer, by id.
pub(crate) fn records(answer: &Value) -> Vec<(String, Value)> {
    let id = |record: &Value| record["rec"].as_str().unwrap_or_default().to_owned();
    items(&answer["records"]).iter().map(|record| (id(record), record.clone())).collect()
}
