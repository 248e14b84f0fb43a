//! What the metrics tell of uploads and collection.

use super::scene::{Scene, photo};
use crate::support::TestResult;
use metrics_exporter_prometheus::PrometheusBuilder;
use server::media::collect::Rounds;

const DAY_MS: i64 = 24 * 3_600 * 1_000;

#[tokio::test]
async fn uploads_and_what_is_removed_are_counted() -> TestResult {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let scene = Scene::new().await?;
    let (sent, other) = (photo(1_000, 1), photo(1_000, 2));
    scene.upload(&sent).await;
    let place = scene.begin(&other).await;
    assert_eq!(scene.patch(&place, 0, sent, &[]).await.status.as_u16(), 422);
    let place = scene.begin(&other).await;
    assert_eq!(scene.patch(&place, 0, photo(7, 2), &[]).await.at(), (204, "7"));
    scene.world.clock.advance(30 * DAY_MS);
    let mut rounds = Rounds::default();
    rounds.next(&scene.world.state).await?;
    scene.world.clock.advance(2 * 3_600 * 1_000);
    rounds.next(&scene.world.state).await?;
    let told = handle.render();
    for line in [
        "genba_uploads_finished_total 1",
        "genba_uploads_failed_total{why=\"hash-mismatch\"} 1",
        "genba_uploads_expired_total 1",
        "genba_upload_bytes_total 1007",
        "genba_blobs_collected_total 1",
        "genba_objects_removed_total{why=\"collected\"} 1",
        "genba_objects_removed_total{why=\"unnamed\"} 1",
    ] {
        assert!(told.lines().any(|told| told == line), "no {line} in:\n{told}");
    }
    Ok(())
}
