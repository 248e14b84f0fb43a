//! Who calls. The guard of a route admits a caller and leaves it in the request; handlers take it from there.

use crate::auth::access::Scope;
use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::net::IpAddr;
use storage::Hash;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Tenant, UserId};

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A tablet with an access token whose device was looked up in this request.
#[derive(Clone, Debug)]
pub struct TabletCaller {
    /// The tenant.
    pub tenant: Tenant,
    /// The user to whom the device is bound.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// `Deposit` when the device is revoked or its user is not active: what it pushes goes to quarantine.
    pub scope: Scope,
    /// When the device was enrolled: no change of it is older.
    pub enrolled_at: UnixMillis,
}

/// A person at the console with a session that was looked up in this request.
#[derive(Clone, Debug)]
pub struct ConsoleCaller {
    /// The tenant.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// Whether the person administers the tenant.
    pub admin: bool,
    /// The session, by its hash.
    pub session: Hash,
    /// Whether the session came as a cookie.
    pub via_cookie: bool,
}

/// A person, at the console or with a tablet in full scope.
#[derive(Clone, Debug)]
pub struct Person {
    /// The tenant.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// The tablet, if the person came with one.
    pub device: Option<DeviceId>,
}

/// An administrator at the console.
#[derive(Clone, Debug)]
pub struct AdminCaller {
    /// The tenant.
    pub tenant: Tenant,
    /// The administrator.
    pub user: UserId,
}

/// Whoever was admitted.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A tablet.
    Tablet(TabletCaller),
    /// A person at the console.
    Console(ConsoleCaller),
}

fn admitted(parts: &Parts) -> Result<&Caller, ApiError> {
    let caller = parts.extensions.get::<Caller>();
    caller.ok_or_else(|| ApiError::internal("a handler takes a caller that its route admits not"))
}

fn mismatch() -> ApiError {
    ApiError::internal("a handler takes another caller than its route admits")
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        admitted(parts).cloned()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TabletCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match admitted(parts)? {
            Caller::Tablet(tablet) => Ok(tablet.clone()),
            Caller::Console(_) => Err(mismatch()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ConsoleCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match admitted(parts)? {
            Caller::Console(console) => Ok(console.clone()),
            Caller::Tablet(_) => Err(mismatch()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match admitted(parts)? {
            Caller::Console(ConsoleCaller { tenant, user, .. }) => {
                Ok(Self { tenant: tenant.clone(), user: *user, device: None })
            }
            Caller::Tablet(TabletCaller { tenant, user, device, scope: Scope::Full, .. }) => {
                Ok(Self { tenant: tenant.clone(), user: *user, device: Some(*device) })
            }
            Caller::Tablet(_) => Err(mismatch()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match admitted(parts)? {
            Caller::Console(ConsoleCaller { tenant, user, admin: true, .. }) => {
                Ok(Self { tenant: tenant.clone(), user: *user })
            }
            Caller::Console(_) | Caller::Tablet(_) => Err(mismatch()),
        }
    }
}
