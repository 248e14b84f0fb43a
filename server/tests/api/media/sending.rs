//! Sending: offsets, parts, breaks.

use super::scene::{Scene, broken, on_both, photo};
use crate::support::TestResult;

on_both!(an_upload_comes_in_pieces_and_is_whole_at_the_end, what_came_before_a_break_is_kept);

async fn an_upload_comes_in_pieces_and_is_whole_at_the_end(scene: Scene) -> TestResult {
    let bytes = photo(700_000, 2);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.head(&place).await.at(), (200, "0"));
    let mut offset = 0;
    for piece in bytes.chunks(300_000) {
        let answer = scene.patch(&place, offset, piece.to_vec(), &[]).await;
        offset += piece.len();
        assert_eq!(answer.at(), (204, &*offset.to_string()), "{}", answer.text);
        assert_eq!(scene.head(&place).await.at(), (200, &*offset.to_string()));
    }
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn what_came_before_a_break_is_kept(scene: Scene) -> TestResult {
    let bytes = photo(500_000, 3);
    let place = scene.begin(&bytes).await;
    let answer = scene.patch(&place, 0, broken(&bytes[..333_333]), &[]).await;
    assert_eq!(answer.refused(), (400, "bad-body".to_owned()));
    assert_eq!(scene.head(&place).await.at(), (200, "333333"));
    let answer = scene.patch(&place, 333_333, bytes[333_333..].to_vec(), &[]).await;
    assert_eq!(answer.at(), (204, "500000"), "{}", answer.text);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}
