//! A route and what it declares: who may call it, what work it is, what it takes and answers.

use crate::auth::admit::{Access, admit};
use crate::bulkhead::Gate;
use crate::extract::{BodyRule, Held};
use crate::problem::ApiError;
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// How long a handler may take. Its work goes on to its end even when the answer was given up.
const CALL_MAX: Duration = Duration::from_secs(30);
/// What a call that took too long is told to wait, in milliseconds.
const SLOW_RETRY_MS: u64 = 5_000;

/// A named schema with those that it needs.
#[derive(Clone)]
pub struct Described {
    /// Its name among the components.
    pub name: String,
    /// The schema itself and all that it refers to.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl std::fmt::Debug for Described {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Described").field(&self.name).finish()
    }
}

impl Described {
    /// The schema of `T`.
    pub fn of<T: ToSchema + PartialSchema>() -> Self {
        let name = T::name().into_owned();
        let mut schemas = vec![(name.clone(), T::schema())];
        T::schemas(&mut schemas);
        Self { name, schemas }
    }
}

/// One query parameter: name and what it says.
pub type QueryParameter = (&'static str, &'static str);

/// One route. It cannot be made without a rule of access, and the rule is checked before the handler runs.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The address, parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Which work it is.
    pub gate: Gate,
    /// What it takes as its body.
    pub body: BodyRule,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its query parameters.
    pub query: &'static [QueryParameter],
    /// What it takes.
    pub request: Option<Described>,
    /// What it answers: statuses and bodies.
    pub answers: Vec<(u16, Option<Described>)>,
    handler: MethodRouter<AppState>,
}

impl Route {
    /// A route for reading.
    pub fn get<H, T>(path: &'static str, access: Access, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::GET, MethodFilter::GET, path, access, summary, handler)
    }

    /// A route for asking how things stand.
    pub fn head<H, T>(path: &'static str, access: Access, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::HEAD, MethodFilter::HEAD, path, access, summary, handler)
    }

    /// A route for asking what can be done.
    pub fn options<H, T>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::OPTIONS, MethodFilter::OPTIONS, path, access, summary, handler)
    }

    /// A route for adding to what is there.
    pub fn patch<H, T>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::PATCH, MethodFilter::PATCH, path, access, summary, handler)
    }

    /// A route for doing.
    pub fn post<H, T>(path: &'static str, access: Access, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::POST, MethodFilter::POST, path, access, summary, handler)
    }

    /// A route for setting.
    pub fn put<H, T>(path: &'static str, access: Access, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::PUT, MethodFilter::PUT, path, access, summary, handler)
    }

    /// A route for ending.
    pub fn delete<H, T>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::DELETE, MethodFilter::DELETE, path, access, summary, handler)
    }

    fn new<H, T>(
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self {
            method,
            path,
            access,
            gate: Gate::Rest,
            body: BodyRule::Small,
            summary,
            query: &[],
            request: None,
            answers: Vec::new(),
            handler: on(filter, handler),
        }
    }

    /// Says which work it is.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Says that it takes bodies of a sync.
    #[must_use]
    pub fn sync_body(mut self) -> Self {
        self.body = BodyRule::Sync;
        self
    }

    /// Says that its handler reads the body while it comes, for as long as that takes.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.body = BodyRule::Stream;
        self
    }

    /// Names its query parameters.
    #[must_use]
    pub fn query(mut self, query: &'static [QueryParameter]) -> Self {
        self.query = query;
        self
    }

    /// Describes what it takes.
    #[must_use]
    pub fn takes<T: ToSchema + PartialSchema>(mut self) -> Self {
        self.request = Some(Described::of::<T>());
        self
    }

    /// Describes what it answers with a status.
    #[must_use]
    pub fn answers<T: ToSchema + PartialSchema>(mut self, status: u16) -> Self {
        self.answers.push((status, Some(Described::of::<T>())));
        self
    }

    /// Says that it answers a status without a described body.
    #[must_use]
    pub fn empty(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }

    /// The guarded service of the route.
    pub(super) fn service(self, state: &AppState) -> MethodRouter<AppState> {
        let guard =
            Guard { state: state.clone(), access: self.access, gate: self.gate, body: self.body };
        self.handler.layer(from_fn_with_state(guard, pass))
    }
}

#[derive(Clone, Debug)]
struct Guard {
    state: AppState,
    access: Access,
    gate: Gate,
    body: BodyRule,
}

/// Admits the caller, reads the body, waits for a turn, then lets the handler run.
///
/// The handler runs in a task of its own: when the client leaves, no transaction is cut in the middle, and a panic ends
/// one call only. A body that is streamed is left to its handler, which bounds it by its pace and not by the time it
/// takes.
async fn pass(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let state = &guard.state;
    let caller = admit(state, guard.access, request.method(), request.headers()).await?;
    let streamed = guard.body == BodyRule::Stream;
    let (mut request, room) = if streamed {
        (request, None)
    } else {
        let (parts, body) = request.into_parts();
        let Held { bytes, room } = state.bodies.read(&parts.headers, body, guard.body).await?;
        (Request::from_parts(parts, Body::from(bytes)), room)
    };
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(guard.body);
    let turn = state.bulkheads.enter(guard.gate, |end| state.random.below(end)).await?;
    let work = async move {
        let response = next.run(request).await;
        drop(room);
        match guard.gate {
            Gate::Fetch => response.map(|body| Body::new(Holding { body, turn })),
            Gate::Free | Gate::Auth | Gate::Sync | Gate::Media | Gate::Rest => {
                drop(turn);
                response
            }
        }
    };
    let task = tokio::spawn(work.in_current_span());
    let bound = if streamed { Duration::MAX } else { CALL_MAX };
    match tokio::time::timeout(bound, task).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(ApiError::internal("a handler panicked")),
        Err(_) => Err(ApiError::Overloaded { retry_after_ms: SLOW_RETRY_MS }),
    }
}

/// A body that keeps its turn until its last byte has left.
struct Holding {
    body: Body,
    turn: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.turn = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
