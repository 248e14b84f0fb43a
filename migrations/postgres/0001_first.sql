-- The tables of one store. Instants are Unix milliseconds; texts sort by their bytes.

-- A bureau. Tenants share nothing.
create table tenant (
    id text collate "C" not null primary key,
    name_ja text collate "C" not null,
    name_en text collate "C" not null,
    time_zone text collate "C" not null,
    created_at bigint not null
);

-- Where the journal of a tenant ends. Its row lock is the last one before commit.
create table tenant_head (
    tenant text collate "C" not null primary key references tenant (id),
    seq bigint not null check (seq >= 0),
    epoch uuid not null,
    backup_seq bigint
);

-- Every accepted change; `body` is the frozen text.
create table change (
    tenant text collate "C" not null,
    seq bigint not null check (seq > 0),
    id uuid not null,
    rec uuid not null,
    hash bytea not null check (length(hash) = 32),
    body bytea not null,
    via text collate "C" not null check (via in ('tablet', 'console', 'server', 'import')),
    author uuid not null,
    device uuid,
    t_recv bigint not null,
    t_eff bigint not null,
    late text collate "C",
    flags text collate "C" not null,
    primary key (tenant, seq)
);
create unique index change_id on change (tenant, id);
create index change_rec on change (tenant, rec, seq);

-- Which change came under which n of a replica.
create table received (
    tenant text collate "C" not null,
    replica uuid not null,
    n bigint not null check (n > 0),
    id uuid not null,
    hash bytea not null check (length(hash) = 32),
    seq bigint not null,
    primary key (tenant, replica, n)
);
create index received_seq on received (tenant, replica, seq);

-- A record; rv 0 is a reserved id that no change has made a record of. The long columns come last.
create table record (
    tenant text collate "C" not null,
    rec uuid not null,
    type text collate "C" not null,
    about uuid,
    rv bigint not null,
    flags text collate "C" not null,
    status text collate "C",
    title text collate "C",
    created_at bigint not null,
    updated_at bigint not null,
    created_by uuid not null,
    state bytea not null,
    meta bytea not null,
    primary key (tenant, rec)
);
create index record_rv on record (tenant, rv);
create index record_flagged on record (tenant, rv) where flags <> '';
create index record_status on record (tenant, status, rv) where status is not null;
create index record_about on record (tenant, about, rec) where about is not null;

-- Where records lie and have lain.
create table placement (
    tenant text collate "C" not null,
    rec uuid not null,
    bucket text collate "C" not null,
    from_at bigint not null,
    to_at bigint,
    primary key (tenant, rec, bucket, from_at)
);

-- What a pull reads: one row per bucket and record, overwritten in place.
create table pointer (
    tenant text collate "C" not null,
    bucket text collate "C" not null,
    rec uuid not null,
    seq bigint not null,
    since bigint not null,
    live boolean not null,
    primary key (tenant, bucket, rec)
);
create index pointer_seq on pointer (tenant, bucket, seq);
create index pointer_rec on pointer (tenant, rec, bucket);

-- What was approved, as it was approved.
create table seal_snapshot (
    tenant text collate "C" not null,
    rec uuid not null,
    change uuid not null,
    view_hash bytea not null check (length(view_hash) = 32),
    form_version bigint not null,
    body bytea not null,
    sealed_at bigint not null,
    sealed_by uuid not null,
    primary key (tenant, rec, change)
);

-- Changes that were received and not applied. One id can be here under several hashes.
create table quarantine (
    tenant text collate "C" not null,
    q uuid not null,
    seq bigint not null check (seq > 0),
    id uuid,
    hash bytea not null check (length(hash) = 32),
    body bytea not null,
    rec uuid,
    about uuid,
    type text collate "C",
    claims text collate "C",
    via text collate "C" not null check (via in ('tablet', 'console', 'server', 'import')),
    author uuid not null,
    device uuid,
    t_recv bigint not null,
    t_eff bigint not null,
    code text collate "C" not null,
    state text collate "C" not null check (state in ('open', 'released', 'closed')),
    closed_by uuid,
    closed_at bigint,
    why text collate "C",
    primary key (tenant, q)
);
create unique index quarantine_seq on quarantine (tenant, seq);
create unique index quarantine_id on quarantine (tenant, id, hash);
create index quarantine_rec on quarantine (tenant, rec) where state = 'open';
create index quarantine_about on quarantine (tenant, about) where state = 'open';
create index quarantine_device on quarantine (tenant, device) where state = 'open';

-- A person who signs in or carries a tablet.
create table user_ (
    tenant text collate "C" not null references tenant (id),
    id uuid not null,
    login text collate "C" not null,
    name text collate "C" not null,
    password_hash text collate "C",
    admin boolean not null,
    active boolean not null,
    not_before bigint not null,
    failed_count bigint not null,
    locked_until bigint,
    primary key (tenant, id)
);
create unique index user_login on user_ (tenant, login);

-- Who may do what in which bucket. Never deleted, only ended.
create table grant_ (
    tenant text collate "C" not null,
    id uuid not null,
    user_id uuid not null,
    bucket text collate "C" not null,
    role text collate "C" not null,
    from_at bigint not null,
    to_at bigint,
    hold boolean not null,
    granted_by uuid not null,
    granted_at bigint not null,
    primary key (tenant, id),
    foreign key (tenant, user_id) references user_ (tenant, id)
);
create index grant_user on grant_ (tenant, user_id);
create index grant_bucket on grant_ (tenant, bucket);
create index grant_from on grant_ (tenant, from_at);
create index grant_to on grant_ (tenant, to_at);

-- One enrolment of a tablet, bound to one user.
create table device (
    tenant text collate "C" not null,
    id uuid not null,
    user_id uuid not null,
    name text collate "C" not null,
    public_key text collate "C" not null,
    thumbprint text collate "C" not null,
    enrolled_at bigint not null,
    state text collate "C" not null check (state in ('active', 'revoked', 'stolen')),
    state_at bigint not null,
    last_seen_at bigint,
    last_seq bigint,
    primary key (tenant, id),
    foreign key (tenant, user_id) references user_ (tenant, id)
);
create index device_user on device (tenant, user_id);

-- One incarnation of a tablet's database.
create table replica (
    tenant text collate "C" not null,
    replica uuid not null,
    device uuid not null,
    lease_cur uuid not null,
    lease_prev uuid,
    attempt_prev uuid,
    known_n bigint not null check (known_n >= 0),
    known_id uuid,
    created_at bigint not null,
    void boolean not null,
    primary key (tenant, replica),
    foreign key (tenant, device) references device (tenant, id)
);
create index replica_device on replica (tenant, device);

-- A single-use code that binds a tablet to a user.
create table enrolment_code (
    hash bytea not null primary key check (length(hash) = 32),
    tenant text collate "C" not null,
    user_id uuid not null,
    created_by uuid not null,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint,
    used_by_device uuid,
    attempts bigint not null,
    foreign key (tenant, user_id) references user_ (tenant, id)
);
create index enrolment_code_user on enrolment_code (tenant, user_id);

-- A nonce, good for one answer.
create table nonce (
    hash bytea not null primary key check (length(hash) = 32),
    expires_at bigint not null
);
create index nonce_expires on nonce (expires_at);

-- A signed-in browser.
create table session (
    hash bytea not null primary key check (length(hash) = 32),
    tenant text collate "C" not null,
    user_id uuid not null,
    created_at bigint not null,
    last_used_at bigint not null,
    expires_at bigint not null,
    foreign key (tenant, user_id) references user_ (tenant, id)
);
create index session_person on session (tenant, user_id);
create index session_expires on session (expires_at);

-- A key pair of the server.
create table signing_key (
    kid text collate "C" not null primary key,
    alg text collate "C" not null,
    pkcs8 bytea not null,
    public_jwk text collate "C" not null,
    created_at bigint not null,
    retire_at bigint,
    purpose text collate "C" not null
);

-- How records of a type are read; a version never changes.
create table form (
    tenant text collate "C" not null references tenant (id),
    type text collate "C" not null,
    version bigint not null,
    body bytea not null,
    hash bytea not null check (length(hash) = 32),
    published_at bigint not null,
    primary key (tenant, type, version)
);

-- A tablet reported that a bucket is erased from it.
create table purge_receipt (
    tenant text collate "C" not null,
    device uuid not null,
    bucket text collate "C" not null,
    at_seq bigint not null,
    received_at bigint not null,
    primary key (tenant, device, bucket, at_seq),
    foreign key (tenant, device) references device (tenant, id)
);

-- Who did what and when. Append only: the triggers refuse everything else.
create table audit (
    tenant text collate "C" not null,
    id uuid not null,
    at bigint not null,
    actor uuid,
    device uuid,
    action text collate "C" not null,
    object text collate "C" not null,
    detail text collate "C" not null,
    primary key (tenant, id)
);
create index audit_at on audit (tenant, at, id);
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is append only';
end
$$;
create trigger audit_no_update before update on audit
    for each row execute function audit_is_append_only();
create trigger audit_no_delete before delete on audit
    for each row execute function audit_is_append_only();

-- What the server made for itself, such as the key that signs cursors.
create table server_secret (
    name text collate "C" not null primary key,
    value bytea not null
);
