//! What becomes of a blob that waits: with real workers, on both databases.

use crate::run::{decoded, worker};
use axum::body::Bytes;
use genba_tests::forge::bombs::{ALL, End};
use genba_tests::forge::film::{a_box, ftyp, heic, moov};
use genba_tests::forge::photo::{exif_of, full_exif, jpeg};
use serde_json::{Value, json};
use server::clock::{Clock as _, ManualClock};
use server::config::Config;
use server::media::render::{Worker, next};
use server::media::{collect, in_memory};
use server::random::SeededRandom;
use server::{AppState, Parts};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use storage::testing::TestResult;
use storage::{Blob, BlobState, Derivative, Hash, Render, Store, TenantRow};
use storage::{Upload, UploadPart, UploadState};
use sync_protocol::blob::MediaType;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{EpochId, Tenant, UploadId, UserId};
use uuid::Uuid;

storage::on_both!(
    a_photo_that_arrived_in_parts_gets_its_pictures,
    films_and_heic_get_facts_only,
    a_blob_that_kills_its_worker_twice_is_given_up_and_kept,
    a_blob_that_is_refused_is_given_up_at_once,
    what_is_not_the_blobs_doing_is_not_counted,
    what_a_dead_node_left_is_made_again_and_swept,
);

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const MINUTE_MS: i64 = 60_000;

/// A server without a network, with its clock in our hand.
struct Scene {
    state: AppState,
    clock: Arc<ManualClock>,
    tenant: Tenant,
    worker: Worker,
}

impl Scene {
    async fn on(store: Store) -> TestResult<Self> {
        let tenant: Tenant = "fire".parse()?;
        let row = TenantRow {
            id: tenant.clone(),
            name_ja: "消防局".into(),
            name_en: "Fire bureau".into(),
            time_zone: "Asia/Tokyo".into(),
            created_at: NOW,
        };
        let mut tx = store.write().await?;
        tx.tenants().insert(&row, EpochId(Uuid::from_u128(1))).await?;
        tx.commit().await?;
        let clock = Arc::new(ManualClock::at(NOW));
        let state = AppState::open(Parts {
            store,
            clock: Arc::clone(&clock) as Arc<dyn server::clock::Clock>,
            random: Arc::new(SeededRandom::new(7)),
            objects: in_memory(),
            config: Arc::new(Config::default()),
        })
        .await?;
        Ok(Self { state, clock, tenant, worker: worker()? })
    }

    /// Has a blob arrive in parts of so many bytes.
    async fn arrives(&self, kind: MediaType, bytes: &[u8], part: usize) -> TestResult<Hash> {
        let sha256: Hash = Sha256::digest(bytes).into();
        let (home, user) =
            (UploadId(Uuid::from_u128(u128::from(sha256[0]))), UserId(Uuid::from_u128(1)));
        let now = self.state.clock.now();
        let length = i64::try_from(bytes.len())?;
        let upload = Upload {
            id: home,
            user,
            device: None,
            sha256,
            bytes: length,
            mime: kind.mime().into(),
            metadata: String::new(),
            state: UploadState::Open,
            received: length,
            hash_state: None,
            created_at: now,
            expires_at: now.plus(MINUTE_MS),
            lease: None,
            closed_at: None,
            swept: false,
        };
        let mut parts = Vec::new();
        for (idx, piece) in bytes.chunks(part).enumerate() {
            let key = self.state.objects.fresh(&self.tenant, home, &*self.state.random);
            self.state.objects.put(&key, Bytes::copy_from_slice(piece)).await?;
            let (idx, bytes) = (i64::try_from(idx)?, i64::try_from(piece.len())?);
            parts.push(UploadPart { idx, key, bytes });
        }
        let blob = Blob {
            sha256,
            home,
            bytes: length,
            mime: kind.mime().into(),
            state: BlobState::Have,
            stored_at: now,
            facts: None,
            render: Render::Pending,
            thumb: None,
            screen: None,
        };
        let mut tx = self.state.store.write().await?;
        tx.uploads().insert(&self.tenant, &upload).await?;
        tx.uploads().put_parts(&self.tenant, home, &parts).await?;
        tx.uploads().close(&self.tenant, home, UploadState::Finished, now).await?;
        tx.blobs().show(&self.tenant, &blob, user).await?;
        tx.commit().await?;
        Ok(sha256)
    }

    async fn next(&self) -> TestResult<bool> {
        Ok(next(&self.state, &self.worker).await?)
    }

    async fn blob(&self, sha256: &Hash) -> TestResult<Blob> {
        let mut tx = self.state.store.read().await?;
        Ok(tx.blobs().find(&self.tenant, sha256).await?.ok_or("the blob is kept")?)
    }

    async fn object(&self, picture: Option<&Derivative>) -> TestResult<Bytes> {
        let picture = picture.ok_or("a picture")?;
        Ok(self.state.objects.read(&picture.key, 0..u64::try_from(picture.bytes)?).await?)
    }

    async fn objects(&self, home: UploadId) -> TestResult<Vec<String>> {
        Ok(self.state.objects.list(&self.tenant, home).await?)
    }
}

fn facts(blob: &Blob) -> TestResult<Value> {
    Ok(serde_json::from_str(blob.facts.as_deref().ok_or("facts")?)?)
}

async fn a_photo_that_arrived_in_parts_gets_its_pictures(store: Store) -> TestResult {
    let scene = Scene::on(store).await?;
    let picture = jpeg(2_000, 1_000, Some(&full_exif()));
    let sha256 = scene.arrives(MediaType::Jpeg, &picture, 10_000).await?;
    assert!(scene.next().await?);
    assert!(!scene.next().await?, "nothing waits");
    let blob = scene.blob(&sha256).await?;
    assert_eq!(blob.render, Render::Made);
    let told = facts(&blob)?;
    assert_eq!(told["taken_at"], json!("2026-11-22T14:03:11.25+09:00"));
    assert_eq!(told["place"], json!({"lat": 35.675, "lon": 139.75, "alt_m": -12.5}));
    assert_eq!((&told["width"], &told["height"]), (&json!(1_000), &json!(2_000)));
    let thumb = decoded(&scene.object(blob.thumb.as_ref()).await?)?;
    let screen = decoded(&scene.object(blob.screen.as_ref()).await?)?;
    assert_eq!((thumb.dimensions(), screen.dimensions()), ((160, 320), (800, 1_600)));
    Ok(())
}

async fn films_and_heic_get_facts_only(store: Store) -> TestResult {
    let scene = Scene::on(store).await?;
    let sound_and_pictures = a_box(b"mdat", &vec![7; 3_000_000]);
    let film = [ftyp(b"isom"), sound_and_pictures, moov(false, &[])].concat();
    let film = scene.arrives(MediaType::Mp4, &film, 1_000_000).await?;
    let still = heic(&exif_of(&[(exif::Tag::Orientation, exif::Value::Short(vec![3]))]));
    let still = scene.arrives(MediaType::Heic, &still, 1_000_000).await?;
    let endless = [ftyp(b"isom"), a_box(b"free", &[]).repeat(100), moov(false, &[])].concat();
    let endless = scene.arrives(MediaType::Mov, &endless, 1_000_000).await?;
    for _ in 0..3 {
        assert!(scene.next().await?);
    }
    for (sha256, told) in [
        (
            film,
            json!({"width": 1_920, "height": 1_080, "taken_at": "2026-11-22T05:03:11Z",
                   "duration_ms": 90_500, "codec": "hvc1"}),
        ),
        (still, json!({"orientation": 3})),
        (endless, json!({})),
    ] {
        let blob = scene.blob(&sha256).await?;
        assert_eq!((blob.render, facts(&blob)?), (Render::None, told));
        assert_eq!((blob.thumb, blob.screen), (None, None));
    }
    Ok(())
}

async fn a_blob_that_kills_its_worker_twice_is_given_up_and_kept(store: Store) -> TestResult {
    let scene = Scene::on(store).await?;
    let bomb = ALL.iter().find(|bomb| bomb.end == End::Dies).ok_or("one that dies")?;
    let sha256 = scene.arrives(bomb.kind, &(bomb.bytes)(), 1_000_000).await?;
    assert!(scene.next().await?);
    assert_eq!(scene.blob(&sha256).await?.render, Render::Pending);
    assert!(!scene.next().await?, "it rests");
    scene.clock.advance(MINUTE_MS);
    assert!(scene.next().await?);
    let blob = scene.blob(&sha256).await?;
    assert_eq!(blob.render, Render::Unrenderable);
    assert!(facts(&blob)?["width"].is_u64(), "what it told before it died");
    scene.clock.advance(60 * MINUTE_MS);
    assert!(!scene.next().await?, "it is never tried again");
    assert!(!scene.objects(blob.home).await?.is_empty(), "the original is kept");
    Ok(())
}

async fn a_blob_that_is_refused_is_given_up_at_once(store: Store) -> TestResult {
    let scene = Scene::on(store).await?;
    let sha256 = scene.arrives(MediaType::Png, b"\x89PNG\r\n\x1a\nand no more", 1_000_000).await?;
    assert!(scene.next().await?);
    let blob = scene.blob(&sha256).await?;
    assert_eq!((blob.render, facts(&blob)?), (Render::Unrenderable, json!({})));
    Ok(())
}

async fn what_is_not_the_blobs_doing_is_not_counted(store: Store) -> TestResult {
    let mut scene = Scene::on(store).await?;
    let picture = jpeg(400, 300, None);
    let sha256 = scene.arrives(MediaType::Jpeg, &picture, 1_000).await?;
    let home = scene.blob(&sha256).await?.home;
    let good = scene.worker.clone();
    scene.worker.program = "/no/such/program".into();
    for _ in 0..3 {
        assert!(scene.next().await?);
        assert!(!scene.next().await?, "it rests");
        scene.clock.advance(MINUTE_MS);
    }
    scene.worker = good;
    let key = scene.objects(home).await?.pop().ok_or("a part")?;
    let length = {
        let mut tx = scene.state.store.read().await?;
        let parts = tx.uploads().parts(&scene.tenant, home).await?;
        parts.into_iter().find(|part| part.key == key).ok_or("its row")?.bytes
    };
    let held = scene.state.objects.read(&key, 0..u64::try_from(length)?).await?;
    scene.state.objects.remove(&key).await?;
    for _ in 0..3 {
        assert!(scene.next().await?);
        scene.clock.advance(MINUTE_MS);
    }
    assert_eq!(scene.blob(&sha256).await?.render, Render::Pending);
    scene.state.objects.put(&key, held).await?;
    assert!(scene.next().await?);
    assert_eq!(scene.blob(&sha256).await?.render, Render::Made);
    Ok(())
}

async fn what_a_dead_node_left_is_made_again_and_swept(store: Store) -> TestResult {
    let scene = Scene::on(store).await?;
    let sha256 = scene.arrives(MediaType::Jpeg, &jpeg(400, 300, None), 1_000_000).await?;
    let home = scene.blob(&sha256).await?.home;
    // A node that took it, wrote a picture and died before it named it.
    let mut tx = scene.state.store.write().await?;
    let lease = tx.renders().lease(NOW, NOW.plus(5 * MINUTE_MS)).await?;
    tx.uploads().swept(&scene.tenant, home, NOW).await?;
    tx.commit().await?;
    assert_eq!(lease.map(|lease| lease.sha256), Some(sha256));
    let left = scene.state.objects.fresh(&scene.tenant, home, &*scene.state.random);
    scene.state.objects.put(&left, Bytes::from_static(b"a picture")).await?;
    assert!(!scene.next().await?);
    scene.clock.advance(5 * MINUTE_MS);
    assert!(scene.next().await?);
    let blob = scene.blob(&sha256).await?;
    assert_eq!(blob.render, Render::Made);
    let mut tx = scene.state.store.read().await?;
    let unswept = tx.uploads().unswept(scene.clock.now(), 10).await?;
    assert_eq!(unswept, [(scene.tenant.clone(), home)]);
    drop(tx);
    collect::sweep(&scene.state, &(scene.tenant.clone(), home)).await?;
    let objects = scene.objects(home).await?;
    assert_eq!((objects.len(), objects.contains(&left)), (3, false));
    scene.object(blob.thumb.as_ref()).await?;
    scene.object(blob.screen.as_ref()).await?;
    Ok(())
}
