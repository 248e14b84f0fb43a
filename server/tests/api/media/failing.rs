//! An object store that fails: what was claimed stays, what is refused is named, text goes on.

use super::fickle::{Fickle, Mood};
use super::scene::{Scene, hex, photo, piece, sha256};
use crate::support::{TestResult, World};
use server::config::Config;
use std::sync::Arc;

async fn scene() -> TestResult<(Scene, Arc<Fickle>)> {
    let store = Arc::new(Fickle::default());
    let base = storage::testing::sqlite().await?;
    let objects = Arc::<Fickle>::clone(&store);
    let world = World::over_objects(base, Config::default(), objects).await?;
    Ok((Scene::of(world).await?, store))
}

#[tokio::test]
async fn a_store_that_is_down_or_full_is_named_and_what_was_claimed_stays() -> TestResult {
    let (scene, store) = scene().await?;
    let bytes = photo(1_000_000, 1);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..300_000), &[]).await.status.as_u16(), 204);
    for (mood, told) in
        [(Mood::Down, (503, "store-unavailable")), (Mood::Full, (507, "store-full"))]
    {
        store.be(mood);
        let told = (told.0, told.1.to_owned());
        let answer = scene.patch(&place, 300_000, piece(&bytes, 300_000..), &[]).await;
        assert_eq!(answer.refused(), told);
        assert_eq!(answer.header("retry-after"), "10");
        assert_eq!(scene.create_with(&bytes, bytes.clone(), &[]).await.refused(), told);
        assert_eq!(scene.head(&place).await.at(), (200, "300000"));
        assert_eq!(scene.row(&place).await?.0.lease, None);
        assert_eq!(scene.open_uploads().await?, 1);
    }
    store.be(Mood::Well);
    let answer = scene.patch(&place, 300_000, piece(&bytes, 300_000..), &[]).await;
    assert_eq!(answer.at(), (204, "1000000"), "{}", answer.text);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

#[tokio::test]
async fn text_goes_on_while_the_store_is_down() -> TestResult {
    let (scene, store) = scene().await?;
    scene.at_work().await?;
    store.be(Mood::Down);
    let bytes = photo(1_000, 2);
    let rec = scene.record(1, &[&bytes]).await?;
    let shown = scene.world.get(&format!("/v1/records/{rec}"), &scene.token).await;
    assert_eq!(shown.status.as_u16(), 200, "{}", shown.text);
    Ok(())
}

#[tokio::test]
async fn reading_tells_that_the_store_is_down_before_a_byte_was_sent() -> TestResult {
    let (scene, store) = scene().await?;
    scene.at_work().await?;
    let bytes = photo(1_000, 3);
    scene.upload(&bytes).await;
    let rec = scene.record(1, &[&bytes]).await?;
    store.be(Mood::Down);
    let path = format!("/v1/records/{rec}/media/{}", hex(sha256(&bytes)));
    let answer = scene.world.get(&path, &scene.token).await;
    assert_eq!(answer.refused(), (503, "store-unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), "10");
    Ok(())
}

#[tokio::test]
async fn an_upload_whose_last_part_is_gone_says_so_and_another_goes_through() -> TestResult {
    let (scene, _) = scene().await?;
    let bytes = photo(1_000, 5);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..500), &[]).await.status.as_u16(), 204);
    let (_, parts) = scene.row(&place).await?;
    scene.world.state.objects.remove(&parts.first().ok_or("a part")?.key).await?;
    let answer = scene.patch(&place, 500, piece(&bytes, 500..), &[]).await;
    assert_eq!(answer.refused(), (410, "upload-gone".to_owned()));
    assert_eq!(scene.head(&place).await.status.as_u16(), 410);
    scene.upload(&bytes).await;
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}
