//! Collection: what nobody needs goes after its grace, and nothing else does.

use super::reader::{rec, shown_at};
use super::scene::{Scene, on_both, photo, piece, sha256};
use crate::support::{NOW, TestResult};
use server::media::collect::{Rounds, condemn, doomed, erase, forget};
use storage::{BlobName, BlobState, UploadState};
use sync_protocol::id::Bucket;

on_both!(
    an_upload_whose_time_is_over_ends_and_its_objects_go,
    a_blob_that_nobody_names_goes_after_its_grace,
    a_blob_that_is_named_stays,
    an_upload_brings_back_what_is_being_removed,
    what_a_second_copy_takes_the_place_of_goes,
);

const DAY: i64 = 24 * 3_600 * 1_000;
const KEPT: i64 = 30 * DAY;

/// One round of collection.
async fn round(scene: &Scene) -> TestResult {
    Ok(Rounds::default().next(&scene.world.state).await?)
}

/// Makes the grace of closed uploads pass.
fn pass_remains(scene: &Scene) {
    let remains = i64::from(scene.world.state.config.objects.keep_remains_s) * 1_000;
    scene.world.clock.advance(remains);
}

async fn an_upload_whose_time_is_over_ends_and_its_objects_go(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 1);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..500), &[]).await.status, 204);
    let expires = scene.row(&place).await?.0.expires_at;
    scene.world.clock.set(expires.plus(-1));
    round(&scene).await?;
    assert_eq!(scene.row(&place).await?.0.state, UploadState::Open);
    scene.world.clock.set(expires);
    round(&scene).await?;
    assert_eq!(scene.row(&place).await?.0.state, UploadState::Ended);
    assert_eq!(scene.objects().await?.len(), 1, "a call may still be writing");
    pass_remains(&scene);
    scene.world.clock.advance(-1);
    round(&scene).await?;
    assert_eq!(scene.objects().await?.len(), 1);
    scene.world.clock.advance(1);
    round(&scene).await?;
    assert_eq!(scene.objects().await?.len(), 0);
    assert!(scene.row(&place).await.is_err(), "its row is gone");
    Ok(())
}

async fn a_blob_that_nobody_names_goes_after_its_grace(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 2);
    scene.upload(&bytes).await;
    scene.world.clock.set(NOW.plus(KEPT - 1));
    round(&scene).await?;
    assert_eq!(scene.stored(&bytes).await?, bytes, "a millisecond before");
    scene.world.clock.set(NOW.plus(KEPT));
    round(&scene).await?;
    assert!(scene.blob(&bytes).await?.is_none());
    assert_eq!(scene.objects().await?.len(), 0);
    let scene = scene.anew().await?;
    scene.upload(&bytes).await;
    assert_eq!(scene.stored(&bytes).await?, bytes, "it can come again");
    Ok(())
}

async fn a_blob_that_is_named_stays(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 3);
    let place = scene.shown(&bytes).await?;
    scene.world.clock.set(NOW.plus(100 * KEPT));
    for _ in 0..2 {
        round(&scene).await?;
        pass_remains(&scene);
    }
    let scene = scene.anew().await?;
    assert!(scene.read(&place, &[]).await.told() == (200, "", &*bytes));
    Ok(())
}

async fn an_upload_brings_back_what_is_being_removed(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 4);
    scene.upload(&bytes).await;
    let first = scene.blob(&bytes).await?.ok_or("no blob")?;
    let (tenant, sha256) = (scene.tenant.clone(), sha256(&bytes));
    let name = BlobName { stored_at: first.stored_at, tenant, sha256 };
    scene.world.clock.set(NOW.plus(KEPT));
    let state = &scene.world.state;
    assert!(condemn(state, &name).await?);
    assert!(!condemn(state, &name).await?, "once");
    let seen = doomed(state).await?;
    assert_eq!(seen.len(), 1);
    let scene = scene.anew().await?;
    let place = scene.shown(&bytes).await?;
    let state = &scene.world.state;
    for doomed in &seen {
        erase(state, doomed).await?;
        forget(state, doomed).await?;
    }
    let again = scene.blob(&bytes).await?.ok_or("no blob")?;
    assert_eq!(again.state, BlobState::Have);
    assert_ne!(again.home, first.home);
    for _ in 0..2 {
        pass_remains(&scene);
        round(&scene).await?;
    }
    let scene = scene.anew().await?;
    assert!(scene.read(&place, &[]).await.told() == (200, "", &*bytes));
    assert_eq!(scene.objects().await?.len(), 1, "nothing is left of the first home");
    Ok(())
}

async fn what_a_second_copy_takes_the_place_of_goes(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 5);
    let place = scene.shown(&bytes).await?;
    let first = scene.objects().await?;
    scene.upload(&bytes).await;
    assert_eq!(scene.objects().await?.len(), 2);
    pass_remains(&scene);
    round(&scene).await?;
    let left = scene.objects().await?;
    assert!(left.len() == 1 && left != first, "{left:?}");
    scene.put_record(&scene.tenant, rec(1), Bucket::everyone()).await?;
    let scene = scene.anew().await?;
    assert_eq!(place, shown_at(rec(1), &bytes));
    assert!(scene.read(&place, &[]).await.told() == (200, "", &*bytes));
    Ok(())
}
