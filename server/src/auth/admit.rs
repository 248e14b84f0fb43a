//! Admits callers: what a route declares is checked here, before its handler or body is touched.

use super::access::{self, Scope};
use super::jws::Refused;
use super::session;
use crate::extract::{Caller, ConsoleCaller, TabletCaller};
use crate::problem::ApiError;
use crate::state::AppState;
use crate::telemetry;
use axum::http::{HeaderMap, Method, header};
use storage::{Admission, DeviceState};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Tenant, UserId};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; the text says why that is right.
    Open(&'static str),
    /// A tablet with a token of any scope.
    Deposit,
    /// A tablet with a token of full scope.
    Tablet,
    /// A person at the console.
    Console,
    /// A person, at the console or with a tablet in full scope.
    Person,
    /// An administrator of the tenant at the console.
    Admin,
}

impl Access {
    /// The rule in words, for the description of the API.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Open(_) => "anybody",
            Self::Deposit => "a tablet, also a revoked one",
            Self::Tablet => "a tablet",
            Self::Console => "a person at the console",
            Self::Person => "a person at the console or with a tablet",
            Self::Admin => "an administrator at the console",
        }
    }
}

/// The longest session token that is looked at, in bytes.
const SESSION_TOKEN_BYTES_MAX: usize = 128;

/// Finds out who calls and whether `access` lets them in; `None` where nobody needs to be known.
pub async fn admit(
    state: &AppState,
    access: Access,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Caller>, ApiError> {
    let (tablets, people) = match access {
        Access::Open(_) => return Ok(None),
        Access::Deposit | Access::Tablet => (true, false),
        Access::Console | Access::Admin => (false, true),
        Access::Person => (true, true),
    };
    let caller = match bearer(headers)? {
        Some(token) if token.contains('.') => Caller::Tablet(tablet(state, token).await?),
        Some(token) => Caller::Console(console(state, token, false).await?),
        None => {
            let token = cookie(headers).ok_or(ApiError::Unauthorised)?;
            let caller = console(state, token, true).await?;
            same_site(state, method, headers)?;
            Caller::Console(caller)
        }
    };
    match &caller {
        Caller::Tablet(_) if !tablets => Err(ApiError::Forbidden { reason: "not for tablets" }),
        Caller::Console(_) if !people => Err(ApiError::Forbidden { reason: "for tablets only" }),
        Caller::Tablet(tablet) if tablet.scope != Scope::Full && access != Access::Deposit => {
            Err(ApiError::Forbidden { reason: "the device may only hand in what it holds" })
        }
        Caller::Console(console) if access == Access::Admin && !console.admin => {
            Err(ApiError::Forbidden { reason: "for administrators" })
        }
        Caller::Tablet(_) | Caller::Console(_) => Ok(Some(caller)),
    }
}

/// The bearer token, if the request brings exactly one authorisation.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::Unauthorised);
    }
    let text = value.to_str().map_err(|_| ApiError::Unauthorised)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(ApiError::Unauthorised),
    }
}

/// The session token among the cookies.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs =
        texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(name, _)| *name == session::COOKIE).map(|(_, token)| token);
    let token = found.next()?;
    found.next().is_none().then_some(token)
}

/// Verifies an access token and looks its device and user up.
pub async fn tablet(state: &AppState, token: &str) -> Result<TabletCaller, ApiError> {
    let now = state.clock.now();
    let verify = || access::verify(&state.keys.now(), &state.names, token, now);
    let mut verified = verify();
    if matches!(verified, Err(Refused::UnknownKey))
        && state.keys.ask_for_unknown(&state.store, now).await.map_err(ApiError::caused)?
    {
        verified = verify();
    }
    let claims = verified.map_err(|why: Refused| {
        tracing::debug!(%why, "an access token was refused");
        ApiError::Unauthorised
    })?;
    let admission = of_device(state, &claims.tenant, claims.device, claims.sub).await?;
    // Tokens count seconds: one made in the same second as the cut is on its right side.
    if claims.iat < admission.not_before.0.div_euclid(1_000) {
        return Err(ApiError::Unauthorised);
    }
    let active = admission.state == DeviceState::Active && admission.active;
    let scope = if active { claims.scope } else { Scope::Deposit };
    Ok(TabletCaller {
        tenant: claims.tenant,
        user: claims.sub,
        device: claims.device,
        scope,
        enrolled_at: admission.enrolled_at,
    })
}

/// What admits the user of a device that is not stolen.
async fn of_device(
    state: &AppState,
    tenant: &Tenant,
    device: DeviceId,
    user: UserId,
) -> Result<Admission, ApiError> {
    let found = state.store.read().await?.devices().admission(tenant, device).await?;
    let admission = found.filter(|found| found.user == user).ok_or(ApiError::Unauthorised)?;
    if admission.state == DeviceState::Stolen {
        telemetry::stolen_device_calls(device);
        return Err(ApiError::DeviceStolen);
    }
    Ok(admission)
}

/// Refuses a caller who was admitted `since` then and would not be now; a session does not end by idling meanwhile.
pub async fn still(state: &AppState, caller: &Caller, since: UnixMillis) -> Result<(), ApiError> {
    let (active, not_before) = match caller {
        Caller::Tablet(TabletCaller { tenant, device, user, .. }) => {
            let found = of_device(state, tenant, *device, *user).await?;
            (found.state == DeviceState::Active && found.active, found.not_before)
        }
        Caller::Console(console) => {
            let mut tx = state.store.read().await?;
            let person = tx.users().find(&console.tenant, console.user).await?;
            let person = person.ok_or(ApiError::Unauthorised)?;
            let session = tx.sessions().find(&console.session).await?;
            let now = state.clock.now();
            let lasts = session.is_some_and(|session| now < session.expires_at);
            (lasts && person.active, person.not_before)
        }
    };
    if active && not_before <= since { Ok(()) } else { Err(ApiError::Unauthorised) }
}

async fn console(
    state: &AppState,
    token: &str,
    via_cookie: bool,
) -> Result<ConsoleCaller, ApiError> {
    if token.len() > SESSION_TOKEN_BYTES_MAX {
        return Err(ApiError::Unauthorised);
    }
    let (session, user) = session::find(state, token).await?.ok_or(ApiError::Unauthorised)?;
    Ok(ConsoleCaller {
        tenant: session.tenant,
        user: user.id,
        admin: user.admin,
        session: session.hash,
        via_cookie,
    })
}

/// A change by cookie must come from a page of this origin.
fn same_site(state: &AppState, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let marked = headers.get("genba-csrf").is_some_and(|value| value == "1");
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let own = match (state.config.origin(), origin) {
        (Some(own), Some(origin)) => own == origin,
        (None, Some(origin)) => {
            let origin_host = origin.split_once("://").map(|(_, host)| host);
            origin_host.is_some() && origin_host == host
        }
        (_, None) => false,
    };
    if marked && own { Ok(()) } else { Err(ApiError::CrossSite) }
}
