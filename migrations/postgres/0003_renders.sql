-- Photos that wait for their pictures are taken oldest first, whatever their tenant.
drop index blob_render;
create index blob_render on blob (stored_at) where render = 'pending' and state = 'have';
