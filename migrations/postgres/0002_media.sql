-- Photos and video: uploads on their way, bytes that were proven, and who named them.

-- An upload; its bytes lie in the object store, in parts under its id.
create table upload (
    tenant text collate "C" not null references tenant (id),
    id uuid not null,
    user_id uuid not null,
    device uuid,
    sha256 bytea not null check (length(sha256) = 32),
    bytes bigint not null check (bytes > 0),
    mime text collate "C" not null,
    metadata text collate "C" not null,
    state text collate "C" not null check (state in ('open', 'finished', 'failed', 'ended')),
    received bigint not null check (received >= 0),
    hash_state bytea,
    created_at bigint not null,
    expires_at bigint not null,
    lease_owner uuid,
    lease_until bigint,
    lease_asked uuid,
    closed_at bigint,
    swept boolean not null,
    primary key (tenant, id)
);
create index upload_person on upload (tenant, user_id, created_at);
create index upload_open on upload (tenant, user_id) where state = 'open';
create index upload_expires on upload (expires_at) where state = 'open';
create index upload_unswept on upload (closed_at) where state <> 'open' and not swept;
create index upload_spent on upload (expires_at) where swept;

-- The parts of an upload that are durable, in their order.
create table upload_part (
    tenant text collate "C" not null,
    upload uuid not null,
    idx bigint not null check (idx >= 0),
    key text collate "C" not null,
    bytes bigint not null check (bytes > 0),
    primary key (tenant, upload, idx),
    foreign key (tenant, upload) references upload (tenant, id)
);

-- Bytes whose SHA-256 was proven; `home` is the upload whose parts they are.
create table blob (
    tenant text collate "C" not null references tenant (id),
    sha256 bytea not null check (length(sha256) = 32),
    home uuid not null,
    bytes bigint not null check (bytes > 0),
    mime text collate "C" not null,
    state text collate "C" not null check (state in ('have', 'deleting')),
    stored_at bigint not null,
    facts text collate "C",
    render text collate "C" not null check (render in ('none', 'pending', 'made', 'unrenderable')),
    render_failures bigint not null check (render_failures >= 0),
    render_until bigint,
    thumb_key text collate "C",
    thumb_bytes bigint,
    screen_key text collate "C",
    screen_bytes bigint,
    primary key (tenant, sha256)
);
create index blob_render on blob (tenant, stored_at) where render = 'pending';
create index blob_stored on blob (stored_at, tenant, sha256) where state = 'have';
create index blob_deleting on blob (tenant, sha256) where state = 'deleting';

-- Who has shown the bytes of a blob. Knowing its hash is not enough.
create table blob_owner (
    tenant text collate "C" not null,
    sha256 bytea not null,
    user_id uuid not null,
    shown_at bigint not null,
    primary key (tenant, sha256, user_id),
    foreign key (tenant, sha256) references blob (tenant, sha256)
);

-- Which received change names which blob; also a change in quarantine, whose `applied` is 0.
create table blob_ref (
    tenant text collate "C" not null,
    rec uuid not null,
    sha256 bytea not null check (length(sha256) = 32),
    change uuid not null,
    author uuid not null,
    clock_offset_ms bigint,
    applied boolean not null,
    primary key (tenant, rec, sha256, change, author)
);
create index blob_ref_sha256 on blob_ref (tenant, sha256, author);
