-- Photos and video: uploads on their way, bytes that were proven, and who named them.

-- An upload; its bytes lie in the object store, in parts under its id.
create table upload (
    tenant text not null references tenant (id),
    id blob not null,
    user_id blob not null,
    device blob,
    sha256 blob not null check (length(sha256) = 32),
    bytes integer not null check (bytes > 0),
    mime text not null,
    metadata text not null,
    state text not null check (state in ('open', 'finished', 'failed', 'ended')),
    received integer not null check (received >= 0),
    hash_state blob,
    created_at integer not null,
    expires_at integer not null,
    lease_owner blob,
    lease_until integer,
    lease_asked blob,
    closed_at integer,
    swept integer not null check (swept in (0, 1)),
    primary key (tenant, id)
) strict;
create index upload_person on upload (tenant, user_id, created_at);
create index upload_open on upload (tenant, user_id) where state = 'open';
create index upload_expires on upload (expires_at) where state = 'open';
create index upload_unswept on upload (closed_at) where state <> 'open' and not swept;
create index upload_spent on upload (expires_at) where swept;

-- The parts of an upload that are durable, in their order.
create table upload_part (
    tenant text not null,
    upload blob not null,
    idx integer not null check (idx >= 0),
    key text not null,
    bytes integer not null check (bytes > 0),
    primary key (tenant, upload, idx),
    foreign key (tenant, upload) references upload (tenant, id)
) strict, without rowid;

-- Bytes whose SHA-256 was proven; `home` is the upload whose parts they are.
create table blob (
    tenant text not null references tenant (id),
    sha256 blob not null check (length(sha256) = 32),
    home blob not null,
    bytes integer not null check (bytes > 0),
    mime text not null,
    state text not null check (state in ('have', 'deleting')),
    stored_at integer not null,
    facts text,
    render text not null check (render in ('none', 'pending', 'made', 'unrenderable')),
    render_failures integer not null check (render_failures >= 0),
    render_until integer,
    thumb_key text,
    thumb_bytes integer,
    screen_key text,
    screen_bytes integer,
    primary key (tenant, sha256)
) strict;
create index blob_render on blob (tenant, stored_at) where render = 'pending';
create index blob_stored on blob (stored_at, tenant, sha256) where state = 'have';
create index blob_deleting on blob (tenant, sha256) where state = 'deleting';

-- Who has shown the bytes of a blob. Knowing its hash is not enough.
create table blob_owner (
    tenant text not null,
    sha256 blob not null,
    user_id blob not null,
    shown_at integer not null,
    primary key (tenant, sha256, user_id),
    foreign key (tenant, sha256) references blob (tenant, sha256)
) strict, without rowid;

-- Which received change names which blob; also a change in quarantine, whose `applied` is 0.
create table blob_ref (
    tenant text not null,
    rec blob not null,
    sha256 blob not null check (length(sha256) = 32),
    change blob not null,
    author blob not null,
    clock_offset_ms integer,
    applied integer not null check (applied in (0, 1)),
    primary key (tenant, rec, sha256, change, author)
) strict, without rowid;
create index blob_ref_sha256 on blob_ref (tenant, sha256, author);
