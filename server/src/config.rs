//! What an operator can set: a TOML file, then `GENBA_…` variables, then flags; the last word wins.

mod error;
mod reading;

pub use error::ConfigError;

use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use sync_protocol::id::Tenant;

/// The most tenants one server serves.
pub const TENANTS_MAX: usize = 64;

/// The settings of one server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API listens.
    pub listen: Listen,
    /// Where the metrics are told.
    pub metrics: Metrics,
    /// Which database.
    pub database: Database,
    /// Where photos and video lie.
    pub objects: Objects,
    /// How smaller pictures and facts are made.
    pub renders: Renders,
    /// The server's certificate.
    pub tls: Option<Tls>,
    /// The address by which browsers know the server: `https://genba.example`.
    pub public_origin: Option<String>,
    /// What device assertions may name as their audience beside the public origin.
    pub audience: Audience,
    /// The bureaus; those that are missing in the database are made at the start.
    pub tenants: Vec<TenantConfig>,
}

/// Where the API listens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Allows an address beyond loopback without TLS (behind a proxy that brings it).
    pub insecure: bool,
    /// Seconds between the signal to stop and the end of accepting.
    pub drain_delay_s: u64,
    /// Milliseconds in which the head of a request must arrive.
    pub header_timeout_ms: u64,
}

/// Where the metrics are told.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Address and port of the metrics; none, and there are no metrics.
    pub addr: Option<SocketAddr>,
}

/// Which database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:<path>` or `postgres://…`.
    pub url: String,
    /// Connections that read.
    pub read_connections: u32,
}

/// Where photos and video lie, and how long what nobody names is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objects {
    /// `folder:<path>` or `s3:<bucket>`; with SQLite, none is a folder beside the file.
    pub url: Option<String>,
    /// The address of the S3 service; none is Amazon's for the region.
    pub endpoint: Option<String>,
    /// The region of the bucket.
    pub region: String,
    /// The id of the key to the bucket.
    pub key_id: Option<String>,
    /// The key to the bucket.
    pub secret: Option<Secret>,
    /// Allows an S3 service beyond loopback without TLS (in a network of its own).
    pub insecure: bool,
    /// Days that a blob is kept which no change names.
    pub keep_unnamed_days: u32,
    /// Seconds after its end that what is left of an upload is kept.
    pub keep_remains_s: u32,
    /// Seconds between two rounds of collection.
    pub collect_every_s: u32,
}

/// How smaller pictures and facts of photos and video are made.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Renders {
    /// Processes at once; with 0 this node makes none.
    pub at_once: u32,
    /// Makes none where the kernel cannot take system calls away from the process.
    pub demand_seccomp: bool,
}

/// Something that is never told.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// The server's certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// An audience of tokens.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Audience(pub String);

/// One bureau.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// Its id: one segment.
    pub id: Tenant,
    /// Its name in Japanese.
    pub name_ja: String,
    /// Its name in English.
    pub name_en: String,
    /// The zone in which its days begin.
    #[serde(default = "tokyo")]
    pub time_zone: String,
}

fn tokyo() -> String {
    "Asia/Tokyo".to_owned()
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            insecure: false,
            drain_delay_s: 5,
            header_timeout_ms: 10_000,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite:genba.db".to_owned(), read_connections: 8 }
    }
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            url: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            key_id: None,
            secret: None,
            insecure: false,
            keep_unnamed_days: 30,
            keep_remains_s: 3_600,
            collect_every_s: 300,
        }
    }
}

impl Default for Renders {
    fn default() -> Self {
        Self { at_once: 1, demand_seccomp: false }
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self("genba".to_owned())
    }
}

impl Config {
    /// The origin that browsers of the console come from.
    pub fn origin(&self) -> Option<&str> {
        self.public_origin.as_deref()
    }

    /// Who issues the access tokens: the public origin, or the audience where none is set.
    pub fn issuer(&self) -> &str {
        self.origin().unwrap_or(&self.audience.0)
    }
}

/// Whether the calendar library knows the zone.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
