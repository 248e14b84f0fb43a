//! What an operator can set: a TOML file, then `GENBA_…` variables, then flags; the last word wins.

use crate::media::place::Place;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
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

impl Config {
    /// Reads the text of a file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            told: error.to_string(),
        })
    }

    /// Reads `path`, or takes the defaults when there is none.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(&text, path)
    }

    /// Takes over what `GENBA_…` variables say; `look` finds one.
    pub fn with_variables(
        mut self,
        look: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        const SWITCH: &str = "true or false";
        const ADDRESS: &str = "an address and a port, as in 127.0.0.1:8080";
        if let Some(text) = look("GENBA_LISTEN_ADDR") {
            self.listen.addr = read(&text, "GENBA_LISTEN_ADDR", ADDRESS)?;
        }
        if let Some(text) = look("GENBA_LISTEN_INSECURE") {
            self.listen.insecure = read(&text, "GENBA_LISTEN_INSECURE", SWITCH)?;
        }
        if let Some(text) = look("GENBA_METRICS_ADDR") {
            self.metrics.addr = Some(read(&text, "GENBA_METRICS_ADDR", ADDRESS)?);
        }
        if let Some(url) = look("GENBA_DATABASE_URL") {
            self.database.url = url;
        }
        if let Some(url) = look("GENBA_OBJECTS_URL") {
            self.objects.url = Some(url);
        }
        if let Some(endpoint) = look("GENBA_OBJECTS_ENDPOINT") {
            self.objects.endpoint = Some(endpoint);
        }
        if let Some(region) = look("GENBA_OBJECTS_REGION") {
            self.objects.region = region;
        }
        if let Some(id) = look("GENBA_OBJECTS_KEY_ID") {
            self.objects.key_id = Some(id);
        }
        if let Some(secret) = look("GENBA_OBJECTS_SECRET") {
            self.objects.secret = Some(Secret(secret));
        }
        if let Some(text) = look("GENBA_OBJECTS_INSECURE") {
            self.objects.insecure = read(&text, "GENBA_OBJECTS_INSECURE", SWITCH)?;
        }
        if let Some(text) = look("GENBA_RENDERS_AT_ONCE") {
            self.renders.at_once = read(&text, "GENBA_RENDERS_AT_ONCE", "a number from 0 to 8")?;
        }
        if let Some(text) = look("GENBA_RENDERS_DEMAND_SECCOMP") {
            self.renders.demand_seccomp = read(&text, "GENBA_RENDERS_DEMAND_SECCOMP", SWITCH)?;
        }
        if let (Some(cert), Some(key)) = (look("GENBA_TLS_CERT"), look("GENBA_TLS_KEY")) {
            self.tls = Some(Tls { cert: cert.into(), key: key.into() });
        }
        if let Some(origin) = look("GENBA_PUBLIC_ORIGIN") {
            self.public_origin = Some(origin);
        }
        if let Some(audience) = look("GENBA_AUDIENCE") {
            self.audience = Audience(audience);
        }
        Ok(self)
    }

    /// Checks what can be checked without the machine.
    pub fn check(&self) -> Result<(), ConfigError> {
        let exposed = !self.listen.addr.ip().is_loopback();
        if exposed && self.tls.is_none() && !self.listen.insecure {
            return Err(ConfigError::NeedsTls(self.listen.addr));
        }
        if let Some(addr) = self.metrics.addr.filter(|addr| !is_private(addr.ip())) {
            return Err(ConfigError::PublicMetrics(addr));
        }
        if self.public_origin.as_deref().is_some_and(|origin| !is_origin(origin)) {
            return Err(ConfigError::BadOrigin);
        }
        if !(1..=64).contains(&self.database.read_connections) {
            return Err(out_of_bounds("database.read_connections", "1 to 64"));
        }
        if !(100..=60_000).contains(&self.listen.header_timeout_ms) {
            return Err(out_of_bounds("listen.header_timeout_ms", "100 to 60000"));
        }
        if self.listen.drain_delay_s > 60 {
            return Err(out_of_bounds("listen.drain_delay_s", "0 to 60"));
        }
        if self.renders.at_once > 8 {
            return Err(out_of_bounds("renders.at_once", "0 to 8"));
        }
        self.check_objects()?;
        self.check_tenants()
    }

    fn check_objects(&self) -> Result<(), ConfigError> {
        if self.objects.keep_unnamed_days > 3_650 {
            return Err(out_of_bounds("objects.keep_unnamed_days", "0 to 3650"));
        }
        if !(60..=604_800).contains(&self.objects.keep_remains_s) {
            return Err(out_of_bounds("objects.keep_remains_s", "60 to 604800"));
        }
        if !(1..=86_400).contains(&self.objects.collect_every_s) {
            return Err(out_of_bounds("objects.collect_every_s", "1 to 86400"));
        }
        if self.objects.url.is_some() {
            Place::of(self)?;
        }
        Ok(())
    }

    fn check_tenants(&self) -> Result<(), ConfigError> {
        if self.tenants.len() > TENANTS_MAX {
            return Err(out_of_bounds("tenants", "at most 64"));
        }
        let mut seen = std::collections::BTreeSet::new();
        for tenant in &self.tenants {
            if !seen.insert(&tenant.id) {
                return Err(ConfigError::TenantTwice(tenant.id.clone()));
            }
            if !is_time_zone(&tenant.time_zone) {
                return Err(ConfigError::UnknownZone {
                    tenant: tenant.id.clone(),
                    zone: tenant.time_zone.clone(),
                });
            }
        }
        Ok(())
    }

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

fn out_of_bounds(name: &'static str, bounds: &'static str) -> ConfigError {
    ConfigError::OutOfBounds { name, bounds }
}

fn read<T: std::str::FromStr>(
    text: &str,
    name: &'static str,
    expected: &'static str,
) -> Result<T, ConfigError> {
    text.parse().map_err(|_| ConfigError::BadVariable { name, expected })
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    host.is_some_and(|host| !host.is_empty() && host.chars().all(plain))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
