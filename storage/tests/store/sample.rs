//! Rows to store: the least that is valid, to be changed by the test that uses them.

use storage::testing::TestResult;
use storage::{
    ChangeRow, Device, DeviceState, Hash, QuarantineState, Quarantined, RecordRow, Replica, Store,
    TenantRow, User, Via,
};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{
    Bucket, ChangeId, DeviceId, EpochId, LeaseId, QuarantineId, RecordId, ReplicaId, Seq, Tenant,
    UserId,
};
use uuid::Uuid;

pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// The n-th id: ids sort as their numbers do.
pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn rec(n: u128) -> RecordId {
    RecordId(id(n))
}

pub(crate) fn change(n: u128) -> ChangeId {
    ChangeId(id(n))
}

pub(crate) fn user(n: u128) -> UserId {
    UserId(id(n))
}

pub(crate) fn hash(n: u8) -> Hash {
    [n; 32]
}

pub(crate) fn bucket(text: &str) -> Bucket {
    text.parse().expect("a bucket of a test")
}

pub(crate) fn tenant_row(name: &str) -> TestResult<TenantRow> {
    Ok(TenantRow {
        id: name.parse()?,
        name_ja: "消防局".into(),
        name_en: "Fire bureau".into(),
        time_zone: "Asia/Tokyo".into(),
        created_at: NOW,
    })
}

/// Makes the tenant `fire`.
pub(crate) async fn tenant(store: &Store) -> TestResult<Tenant> {
    let row = tenant_row("fire")?;
    let mut tx = store.write().await?;
    tx.tenants().insert(&row, EpochId(id(1))).await?;
    tx.commit().await?;
    Ok(row.id)
}

/// Makes the tenant `fire` with user 1 on device 1.
pub(crate) async fn tenant_with_device(store: &Store) -> TestResult<Tenant> {
    let tenant = tenant(store).await?;
    let mut tx = store.write().await?;
    tx.users().insert(&tenant, &user_row(1)).await?;
    tx.devices().insert(&tenant, &device_row(1, 1)).await?;
    tx.commit().await?;
    Ok(tenant)
}

pub(crate) fn user_row(n: u128) -> User {
    User {
        id: user(n),
        login: format!("login-{n}"),
        name: "山田 花子".into(),
        password_hash: None,
        admin: false,
        active: true,
        not_before: UnixMillis(0),
        failed_count: 0,
        locked_until: None,
    }
}

pub(crate) fn device_row(n: u128, of: u128) -> Device {
    Device {
        id: DeviceId(id(n)),
        user: user(of),
        name: "tablet".into(),
        public_key: "{}".into(),
        thumbprint: format!("thumb-{n}"),
        enrolled_at: NOW,
        state: DeviceState::Active,
        state_at: NOW,
        last_seen_at: None,
        last_seq: None,
    }
}

pub(crate) fn replica_row(n: u128) -> Replica {
    Replica {
        replica: ReplicaId(id(n)),
        device: DeviceId(id(1)),
        lease_cur: LeaseId(id(n + 1000)),
        lease_prev: None,
        attempt_prev: None,
        known_n: 0,
        known_id: None,
        created_at: NOW,
        void: false,
    }
}

/// The n-th change, at seq n, of a record.
pub(crate) fn change_row(n: u8, of: u128) -> ChangeRow {
    ChangeRow {
        seq: Seq(n.into()),
        id: change(n.into()),
        rec: rec(of),
        hash: hash(n),
        body: format!("{{\"n\":{n}}}").into_bytes(),
        via: Via::Tablet,
        by: user(1),
        device: None,
        t_recv: NOW,
        t_eff: NOW.plus(-1),
        late: None,
        flags: String::new(),
    }
}

pub(crate) fn record_row(n: u128, rv: i64) -> RecordRow {
    RecordRow {
        rec: rec(n),
        type_: "fire_inspection".parse().expect("a type of a test"),
        about: None,
        rv: Seq(rv),
        state: vec![0, 1, 255],
        meta: Vec::new(),
        flags: String::new(),
        status: None,
        title: None,
        created_at: NOW,
        updated_at: NOW,
        created_by: user(1),
    }
}

/// The n-th quarantined change, received at seq n, on a record.
pub(crate) fn quarantined(n: u8, of: u128) -> Quarantined {
    Quarantined {
        q: QuarantineId(id(500 + u128::from(n))),
        seq: Seq(n.into()),
        id: Some(change(n.into())),
        hash: hash(n),
        body: b"not even JSON".to_vec(),
        rec: Some(rec(of)),
        about: None,
        type_: None,
        claims: None,
        via: Via::Tablet,
        by: user(1),
        device: Some(DeviceId(id(1))),
        t_recv: NOW,
        t_eff: NOW,
        code: "forbidden".into(),
        state: QuarantineState::Open,
        closed_by: None,
        closed_at: None,
        why: None,
    }
}
