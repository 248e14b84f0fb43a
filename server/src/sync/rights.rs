//! Who may do what, and when they could: pure rules over effective-dated grants and placements.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use storage::{Grant, Placement};
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Form, Offline, Role};
use sync_protocol::id::{Bucket, UserId};
use sync_protocol::view::STATUS;

/// How long after losing a right its holder's work is still applied: 90 days, in milliseconds.
pub const LATE_WRITE_MS: i64 = 90 * 24 * 3_600 * 1_000;

/// The role named by a grant; `None` for a word that no role has.
pub fn role(word: &str) -> Option<Role> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

/// A stretch of time in which a record lies in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The bucket.
    pub bucket: Bucket,
    /// From this instant.
    pub from: UnixMillis,
    /// Until before this one.
    pub to: Option<UnixMillis>,
}

impl Stay {
    /// A stay without end in both directions: the bucket that a `new` names.
    pub const fn always(bucket: Bucket) -> Self {
        Self { bucket, from: UnixMillis(i64::MIN), to: None }
    }
}

impl From<&Placement> for Stay {
    fn from(placement: &Placement) -> Self {
        Self { bucket: placement.bucket.clone(), from: placement.from_at, to: placement.to_at }
    }
}

fn within(at: UnixMillis, from: UnixMillis, to: Option<UnixMillis>) -> bool {
    from <= at && to.is_none_or(|to| at < to)
}

/// Whether a grant holds at an instant.
pub fn holds(grant: &Grant, at: UnixMillis) -> bool {
    within(at, grant.from_at, grant.to_at)
}

/// The roles that these grants give in these stays at one instant.
pub fn roles_at(grants: &[Grant], stays: &[Stay], at: UnixMillis) -> BTreeSet<Role> {
    let lies_in = |bucket: &Bucket| {
        stays.iter().any(|stay| stay.bucket == *bucket && within(at, stay.from, stay.to))
    };
    grants
        .iter()
        .filter(|grant| holds(grant, at) && lies_in(&grant.bucket))
        .filter_map(|grant| role(&grant.role))
        .collect()
}

/// When a change was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Its author may do it now.
    Now,
    /// Its author could do it within the last 90 days, and no longer can.
    Earlier,
    /// Never.
    No,
}

/// Judges a change by the grants of its author and the stays of its record.
///
/// Every op must be allowed at one common instant: now, or the last instant of some earlier state of affairs.
pub fn judge(
    change: &Change,
    form: &Form,
    grants: &[Grant],
    stays: &[Stay],
    now: UnixMillis,
) -> Allowed {
    let allows = |at: UnixMillis| {
        let roles = roles_at(grants, stays, at);
        !roles.is_empty() && change.ops.iter().all(|op| allows_op(op, form, &roles))
    };
    if allows(now) {
        return Allowed::Now;
    }
    let oldest = now.plus(-LATE_WRITE_MS);
    let ends = grants
        .iter()
        .filter_map(|grant| grant.to_at)
        .chain(stays.iter().filter_map(|stay| stay.to));
    let begins = grants.iter().map(|grant| grant.from_at).chain(stays.iter().map(|stay| stay.from));
    let mut instants: Vec<UnixMillis> = ends
        .chain(begins)
        .filter(|boundary| *boundary <= now)
        .map(|boundary| boundary.plus(-1))
        .filter(|at| *at >= oldest)
        .collect();
    instants.sort_unstable_by(|a, b| b.cmp(a));
    instants.dedup();
    if instants.into_iter().any(allows) { Allowed::Earlier } else { Allowed::No }
}

fn allows_op(op: &Op, form: &Form, roles: &BTreeSet<Role>) -> bool {
    let may = |field: &str, cell: Option<&str>| {
        roles.iter().any(|role| form.may_write(field, cell, *role))
    };
    match op {
        Op::Set { path: Path::Field(field), value, .. } if field == STATUS => {
            may_advance(form, value, roles)
        }
        Op::Set { path, .. } => may(path.field(), path.cell()),
        Op::Add { at, .. } | Op::Rem { at, .. } | Op::Pos { at, .. } => may(&at.field, None),
        Op::New { .. } | Op::Del { .. } | Op::Undel { .. } => {
            roles.iter().any(|role| form.write.contains(role))
        }
        Op::Place { .. }
        | Op::Seal { .. }
        | Op::Unseal { .. }
        | Op::Accept { .. }
        | Op::Aside { .. } => false,
    }
}

/// Whether a change of one of these roles may take a record along this step; others are commands.
fn may_advance(form: &Form, value: &Value, roles: &BTreeSet<Role>) -> bool {
    let state = |member: &str| value.get(member).and_then(Value::as_str);
    let (Some(statuses), Some(from), Some(to)) = (&form.statuses, state("from"), state("to"))
    else {
        return false;
    };
    statuses.transition(from, to).is_some_and(|way| {
        way.offline == Offline::Yes && way.roles.iter().any(|role| roles.contains(role))
    })
}

/// Every user's grants, by user.
pub type GrantsByUser = BTreeMap<UserId, Vec<Grant>>;

/// The buckets that a user's tablets hold at an instant: those granted to hold, and `everyone`.
pub fn held(grants: &[Grant], at: UnixMillis) -> BTreeSet<Bucket> {
    let granted = grants
        .iter()
        .filter(|grant| grant.hold && holds(grant, at))
        .map(|grant| grant.bucket.clone());
    granted.chain([Bucket::everyone()]).collect()
}

/// The buckets that a user may read online at an instant.
pub fn readable(grants: &[Grant], at: UnixMillis) -> BTreeSet<Bucket> {
    let granted = grants.iter().filter(|grant| holds(grant, at)).map(|grant| grant.bucket.clone());
    granted.chain([Bucket::everyone()]).collect()
}

/// Whether a user has one of these roles in one of these buckets now.
pub fn has_role(
    grants: &[Grant],
    buckets: &BTreeSet<Bucket>,
    wanted: &[Role],
    at: UnixMillis,
) -> bool {
    grants.iter().any(|grant| {
        holds(grant, at)
            && buckets.contains(&grant.bucket)
            && role(&grant.role).is_some_and(|role| wanted.contains(&role))
    })
}
