//! Creation, also with the first bytes.

use super::scene::{Scene, on_both, photo};
use crate::support::TestResult;

on_both!(a_photo_that_comes_whole_with_its_creation_is_there_in_one_call);

async fn a_photo_that_comes_whole_with_its_creation_is_there_in_one_call(
    scene: Scene,
) -> TestResult {
    let bytes = photo(100_000, 1);
    let answer = scene.create_with(&bytes, bytes.clone(), &[]).await;
    assert_eq!(answer.at(), (201, "100000"), "{}", answer.text);
    assert_eq!(answer.header("tus-resumable"), "1.0.0");
    assert_eq!(scene.stored(&bytes).await?, bytes);
    let (upload, parts) = scene.row(answer.header("location")).await?;
    assert_eq!((upload.state.as_str(), upload.swept, parts.len()), ("finished", true, 1));
    Ok(())
}
