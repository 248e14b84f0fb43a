//! Failed proofs of identity, counted: a soft lock for each login and a bound for each address.
//!
//! A login that does not exist is counted like one that does, so that the lock tells nobody who works here. Only
//! failures count: a whole office behind one address signs in undisturbed.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Tenant;

/// Logins and addresses that are remembered at most; beyond, the oldest are forgotten.
pub const REMEMBERED_MAX: usize = 65_536;
/// Failures of one address in a minute before it has to wait.
pub const ADDRESS_FAILURES_MAX: u32 = 600;
const MINUTE_MS: i64 = 60_000;

/// How long a login waits after its `count`-th failure in a row; `None` until the end of the day.
pub const fn wait_ms(count: u32) -> Option<i64> {
    match count {
        0 => Some(0),
        1..=2 => Some(1_000),
        3..=8 => Some(3_000),
        9..=24 => Some(5_000),
        25..=99 => Some(10_000),
        _ => None,
    }
}

/// The end of the lock that the `count`-th failure at `now` begins, in the tenant's zone.
pub fn locked_until(count: u32, now: UnixMillis, time_zone: &str) -> UnixMillis {
    wait_ms(count).map_or_else(|| day_end(now, time_zone), |wait| now.plus(wait))
}

/// The next midnight in a zone.
pub fn day_end(now: UnixMillis, time_zone: &str) -> UnixMillis {
    const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let midnight = jiff::Timestamp::from_millisecond(now.0)
        .ok()
        .and_then(|at| at.to_zoned(zone).tomorrow().ok())
        .and_then(|day| day.start_of_day().ok());
    midnight.map_or(now.plus(DAY_MS), |day| UnixMillis(day.timestamp().as_millisecond()))
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    count: u32,
    at: UnixMillis,
    locked_until: UnixMillis,
}

/// What failed lately.
#[derive(Debug, Default)]
pub struct Failures {
    logins: Mutex<HashMap<(Tenant, String), Counted>>,
    addresses: Mutex<HashMap<IpAddr, Counted>>,
    attempts: Mutex<HashSet<(Tenant, String)>>,
}

/// A sign-in that runs; dropped, the login may try again.
#[derive(Debug)]
pub struct Attempt<'a> {
    failures: &'a Failures,
    login: (Tenant, String),
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut attempts = self.failures.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.remove(&self.login);
    }
}

impl Failures {
    /// Begins a sign-in, unless one of the same login runs: guesses at once would pass under the lock.
    pub fn begin(&self, tenant: &Tenant, login: &str) -> Option<Attempt<'_>> {
        let login = (tenant.clone(), login.to_owned());
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.insert(login.clone()).then(|| Attempt { failures: self, login })
    }

    /// How long this login still has to wait, in milliseconds.
    pub fn login_wait(&self, tenant: &Tenant, login: &str, now: UnixMillis) -> Option<u64> {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = logins.get(&(tenant.clone(), login.to_owned()))?;
        left(counted.locked_until, now)
    }

    /// Counts a failure of this login and gives the number of failures in a row and the end of the lock.
    pub fn login_failed(
        &self,
        tenant: &Tenant,
        login: &str,
        now: UnixMillis,
        time_zone: &str,
    ) -> (u32, UnixMillis) {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), login.to_owned());
        let count = logins.get(&key).map_or(0, |counted| counted.count).saturating_add(1);
        let locked_until = locked_until(count, now, time_zone);
        remember(&mut logins, key, Counted { count, at: now, locked_until });
        (count, locked_until)
    }

    /// Forgets the failures of a login that signed in.
    pub fn login_succeeded(&self, tenant: &Tenant, login: &str) {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.remove(&(tenant.clone(), login.to_owned()));
    }

    /// How long an address with too many failures has to wait, in milliseconds.
    pub fn address_wait(&self, address: Option<IpAddr>, now: UnixMillis) -> Option<u64> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = addresses.get(&address?)?;
        (counted.count >= ADDRESS_FAILURES_MAX).then(|| left(counted.locked_until, now)).flatten()
    }

    /// Counts a failure of an address.
    pub fn address_failed(&self, address: Option<IpAddr>, now: UnixMillis) {
        let Some(address) = address else { return };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = match addresses.get(&address) {
            Some(known) if now < known.locked_until => {
                Counted { count: known.count.saturating_add(1), ..*known }
            }
            _ => Counted { count: 1, at: now, locked_until: now.plus(MINUTE_MS) },
        };
        remember(&mut addresses, address, counted);
    }
}

fn left(until: UnixMillis, now: UnixMillis) -> Option<u64> {
    u64::try_from(until.since(now)).ok().filter(|left| *left > 0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the oldest are found by their instant, in any order"
)]
fn remember<K: Eq + Hash + Clone>(map: &mut HashMap<K, Counted>, key: K, counted: Counted) {
    if map.len() >= REMEMBERED_MAX && !map.contains_key(&key) {
        let mut ages: Vec<UnixMillis> = map.values().map(|counted| counted.at).collect();
        let middle = ages.len() / 2;
        let (_, median, _) = ages.select_nth_unstable(middle);
        let median = *median;
        map.retain(|_, counted| counted.at > median);
    }
    map.insert(key, counted);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fire() -> Tenant {
        "fire".parse().expect("a tenant")
    }

    #[test]
    fn the_ladder_has_its_steps_and_ends_at_midnight() {
        let steps = [1, 2, 3, 8, 9, 24, 25, 99].map(|count| wait_ms(count).expect("a step"));
        assert_eq!(steps, [1_000, 1_000, 3_000, 3_000, 5_000, 5_000, 10_000, 10_000]);
        let noon = UnixMillis::parse("2026-11-22T03:00:00.000Z").expect("an instant");
        let midnight = UnixMillis::parse("2026-11-22T15:00:00.000Z").expect("an instant");
        assert_eq!(locked_until(100, noon, "Asia/Tokyo"), midnight);
    }

    #[test]
    fn a_login_waits_after_a_failure_and_is_forgiven_by_success() {
        let failures = Failures::default();
        let now = UnixMillis(1_000_000);
        failures.login_failed(&fire(), "mori", now, "Asia/Tokyo");
        assert_eq!(failures.login_wait(&fire(), "mori", now), Some(1_000));
        assert_eq!(failures.login_wait(&fire(), "mori", now.plus(1_000)), None);
        assert_eq!(failures.login_wait(&fire(), "hara", now), None);
        failures.login_succeeded(&fire(), "mori");
        assert_eq!(failures.login_wait(&fire(), "mori", now), None);
    }

    #[test]
    fn an_address_waits_only_after_many_failures_within_a_minute() {
        let failures = Failures::default();
        let (address, now) = (Some(IpAddr::from([192, 0, 2, 1])), UnixMillis(5));
        for _ in 1..ADDRESS_FAILURES_MAX {
            failures.address_failed(address, now);
        }
        assert_eq!(failures.address_wait(address, now), None);
        failures.address_failed(address, now);
        assert_eq!(failures.address_wait(address, now), Some(60_000));
        assert_eq!(failures.address_wait(address, now.plus(60_000)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut map = HashMap::new();
        let end = u32::try_from(REMEMBERED_MAX).expect("fits") + 10;
        for n in 0..end {
            let at = UnixMillis(i64::from(n));
            remember(&mut map, n, Counted { count: 1, at, locked_until: at });
        }
        assert!(map.len() <= REMEMBERED_MAX);
        assert!(map.contains_key(&(end - 1)));
    }
}
