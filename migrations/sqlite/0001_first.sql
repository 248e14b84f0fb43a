-- The tables of one store. Ids are 16 bytes, instants Unix milliseconds; texts sort by their bytes.

-- A bureau. Tenants share nothing.
create table tenant (
    id text not null primary key,
    name_ja text not null,
    name_en text not null,
    time_zone text not null,
    created_at integer not null
) strict;

-- Where the journal of a tenant ends. Its row lock is the last one before commit.
create table tenant_head (
    tenant text not null primary key references tenant (id),
    seq integer not null check (seq >= 0),
    epoch blob not null,
    backup_seq integer
) strict, without rowid;

-- Every accepted change; `body` is the frozen text.
create table change (
    tenant text not null,
    seq integer not null check (seq > 0),
    id blob not null,
    rec blob not null,
    hash blob not null check (length(hash) = 32),
    body blob not null,
    via text not null check (via in ('tablet', 'console', 'server', 'import')),
    author blob not null,
    device blob,
    t_recv integer not null,
    t_eff integer not null,
    late text,
    flags text not null,
    primary key (tenant, seq)
) strict;
create unique index change_id on change (tenant, id);
create index change_rec on change (tenant, rec, seq);

-- Which change came under which n of a replica.
create table received (
    tenant text not null,
    replica blob not null,
    n integer not null check (n > 0),
    id blob not null,
    hash blob not null check (length(hash) = 32),
    seq integer not null,
    primary key (tenant, replica, n)
) strict, without rowid;
create index received_seq on received (tenant, replica, seq);

-- A record; rv 0 is a reserved id that no change has made a record of. The long columns come last.
create table record (
    tenant text not null,
    rec blob not null,
    type text not null,
    about blob,
    rv integer not null,
    flags text not null,
    status text,
    title text,
    created_at integer not null,
    updated_at integer not null,
    created_by blob not null,
    state blob not null,
    meta blob not null,
    primary key (tenant, rec)
) strict;
create index record_rv on record (tenant, rv);
create index record_flagged on record (tenant, rv) where flags <> '';
create index record_status on record (tenant, status, rv) where status is not null;
create index record_about on record (tenant, about, rec) where about is not null;

-- Where records lie and have lain.
create table placement (
    tenant text not null,
    rec blob not null,
    bucket text not null,
    from_at integer not null,
    to_at integer,
    primary key (tenant, rec, bucket, from_at)
) strict, without rowid;

-- What a pull reads: one row per bucket and record, overwritten in place.
create table pointer (
    tenant text not null,
    bucket text not null,
    rec blob not null,
    seq integer not null,
    since integer not null,
    live integer not null check (live in (0, 1)),
    primary key (tenant, bucket, rec)
) strict, without rowid;
create index pointer_seq on pointer (tenant, bucket, seq);
create index pointer_rec on pointer (tenant, rec, bucket);

-- What was approved, as it was approved.
create table seal_snapshot (
    tenant text not null,
    rec blob not null,
    change blob not null,
    view_hash blob not null check (length(view_hash) = 32),
    form_version integer not null,
    body blob not null,
    sealed_at integer not null,
    sealed_by blob not null,
    primary key (tenant, rec, change)
) strict;

-- Changes that were received and not applied. One id can be here under several hashes.
create table quarantine (
    tenant text not null,
    q blob not null,
    seq integer not null check (seq > 0),
    id blob,
    hash blob not null check (length(hash) = 32),
    body blob not null,
    rec blob,
    about blob,
    type text,
    claims text,
    via text not null check (via in ('tablet', 'console', 'server', 'import')),
    author blob not null,
    device blob,
    t_recv integer not null,
    t_eff integer not null,
    code text not null,
    state text not null check (state in ('open', 'released', 'closed')),
    closed_by blob,
    closed_at integer,
    why text,
    primary key (tenant, q)
) strict;
create unique index quarantine_seq on quarantine (tenant, seq);
create unique index quarantine_id on quarantine (tenant, id, hash);
create index quarantine_rec on quarantine (tenant, rec) where state = 'open';
create index quarantine_about on quarantine (tenant, about) where state = 'open';
create index quarantine_device on quarantine (tenant, device) where state = 'open';

-- A person who signs in or carries a tablet.
create table user_ (
    tenant text not null references tenant (id),
    id blob not null,
    login text not null,
    name text not null,
    password_hash text,
    admin integer not null check (admin in (0, 1)),
    active integer not null check (active in (0, 1)),
    not_before integer not null,
    failed_count integer not null,
    locked_until integer,
    primary key (tenant, id)
) strict;
create unique index user_login on user_ (tenant, login);

-- Who may do what in which bucket. Never deleted, only ended.
create table grant_ (
    tenant text not null,
    id blob not null,
    user_id blob not null,
    bucket text not null,
    role text not null,
    from_at integer not null,
    to_at integer,
    hold integer not null check (hold in (0, 1)),
    granted_by blob not null,
    granted_at integer not null,
    primary key (tenant, id),
    foreign key (tenant, user_id) references user_ (tenant, id)
) strict;
create index grant_user on grant_ (tenant, user_id);
create index grant_bucket on grant_ (tenant, bucket);
create index grant_from on grant_ (tenant, from_at);
create index grant_to on grant_ (tenant, to_at);

-- One enrolment of a tablet, bound to one user.
create table device (
    tenant text not null,
    id blob not null,
    user_id blob not null,
    name text not null,
    public_key text not null,
    thumbprint text not null,
    enrolled_at integer not null,
    state text not null check (state in ('active', 'revoked', 'stolen')),
    state_at integer not null,
    last_seen_at integer,
    last_seq integer,
    primary key (tenant, id),
    foreign key (tenant, user_id) references user_ (tenant, id)
) strict;
create index device_user on device (tenant, user_id);

-- One incarnation of a tablet's database.
create table replica (
    tenant text not null,
    replica blob not null,
    device blob not null,
    lease_cur blob not null,
    lease_prev blob,
    attempt_prev blob,
    known_n integer not null check (known_n >= 0),
    known_id blob,
    created_at integer not null,
    void integer not null check (void in (0, 1)),
    primary key (tenant, replica),
    foreign key (tenant, device) references device (tenant, id)
) strict, without rowid;
create index replica_device on replica (tenant, device);

-- A single-use code that binds a tablet to a user.
create table enrolment_code (
    hash blob not null primary key check (length(hash) = 32),
    tenant text not null,
    user_id blob not null,
    created_by blob not null,
    created_at integer not null,
    expires_at integer not null,
    used_at integer,
    used_by_device blob,
    attempts integer not null,
    foreign key (tenant, user_id) references user_ (tenant, id)
) strict, without rowid;
create index enrolment_code_user on enrolment_code (tenant, user_id);

-- A nonce, good for one answer.
create table nonce (
    hash blob not null primary key check (length(hash) = 32),
    expires_at integer not null
) strict, without rowid;
create index nonce_expires on nonce (expires_at);

-- A signed-in browser.
create table session (
    hash blob not null primary key check (length(hash) = 32),
    tenant text not null,
    user_id blob not null,
    created_at integer not null,
    last_used_at integer not null,
    expires_at integer not null,
    foreign key (tenant, user_id) references user_ (tenant, id)
) strict, without rowid;
create index session_person on session (tenant, user_id);
create index session_expires on session (expires_at);

-- A key pair of the server.
create table signing_key (
    kid text not null primary key,
    alg text not null,
    pkcs8 blob not null,
    public_jwk text not null,
    created_at integer not null,
    retire_at integer,
    purpose text not null
) strict;

-- How records of a type are read; a version never changes.
create table form (
    tenant text not null references tenant (id),
    type text not null,
    version integer not null,
    body blob not null,
    hash blob not null check (length(hash) = 32),
    published_at integer not null,
    primary key (tenant, type, version)
) strict;

-- A tablet reported that a bucket is erased from it.
create table purge_receipt (
    tenant text not null,
    device blob not null,
    bucket text not null,
    at_seq integer not null,
    received_at integer not null,
    primary key (tenant, device, bucket, at_seq),
    foreign key (tenant, device) references device (tenant, id)
) strict, without rowid;

-- Who did what and when. Append only: the triggers refuse everything else.
create table audit (
    tenant text not null,
    id blob not null,
    at integer not null,
    actor blob,
    device blob,
    action text not null,
    object text not null,
    detail text not null,
    primary key (tenant, id)
) strict;
create index audit_at on audit (tenant, at, id);
create trigger audit_no_update before update on audit
begin
    select raise(abort, 'the audit trail is append only');
end;
create trigger audit_no_delete before delete on audit
begin
    select raise(abort, 'the audit trail is append only');
end;

-- What the server made for itself, such as the key that signs cursors.
create table server_secret (
    name text not null primary key,
    value blob not null
) strict, without rowid;
