//! Reads the settings, the last word winning, and checks them against their bounds.

use super::{Audience, Config, ConfigError, Secret, TENANTS_MAX, Tls, is_time_zone};
use crate::media::place::Place;
use std::net::IpAddr;
use std::path::Path;

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
