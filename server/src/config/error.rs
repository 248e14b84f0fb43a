//! Why a configuration is refused, each with the way out.

use std::net::SocketAddr;
use std::path::PathBuf;
use sync_protocol::id::Tenant;

/// Why a configuration is refused, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("cannot read {path}: name an existing file with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not TOML of our form.
    #[error("{path} is not a configuration: {told}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line and what was expected.
        told: String,
    },
    /// A variable of the environment is not of its form.
    #[error("{name} is set to something that it cannot be: {expected}")]
    BadVariable {
        /// The variable.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A public address without TLS.
    #[error(
        "{0} can be reached from other machines and there is no TLS: set tls.cert and tls.key, listen on loopback, \
         or set listen.insecure when a proxy brings TLS"
    )]
    NeedsTls(SocketAddr),
    /// Metrics for everybody.
    #[error(
        "metrics.addr {0} can be reached from other machines: use a loopback or private address"
    )]
    PublicMetrics(SocketAddr),
    /// An origin that is none.
    #[error(
        "public_origin is not an origin: write scheme, host and port, as in https://genba.example"
    )]
    BadOrigin,
    /// A time zone that is unknown.
    #[error(
        "tenant {tenant} has the time zone {zone:?}, which is unknown: write one like Asia/Tokyo"
    )]
    UnknownZone {
        /// The tenant.
        tenant: Tenant,
        /// What was written.
        zone: String,
    },
    /// No place for photos and video.
    #[error(
        "say where photos and video lie: set objects.url to folder:PATH (one server) or s3:BUCKET (also several)"
    )]
    NoPlace,
    /// A bucket without its key.
    #[error("objects.url names a bucket: set objects.key_id and objects.secret as well")]
    NoKey,
    /// A bucket that is reached in the clear.
    #[error(
        "objects.endpoint {0} sends photos and video in the clear: use https, loopback, or set objects.insecure in a \
         network of its own"
    )]
    ClearEndpoint(String),
    /// One id twice.
    #[error("tenant {0} is listed twice")]
    TenantTwice(Tenant),
    /// A number beyond its bounds.
    #[error("{name} is out of bounds: {bounds}")]
    OutOfBounds {
        /// The setting.
        name: &'static str,
        /// What it may be.
        bounds: &'static str,
    },
}
