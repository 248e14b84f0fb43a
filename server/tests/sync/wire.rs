//! Messages that tablets have sent and servers have answered: whoever is newer still reads them.

use crate::support::{TestResult, World, outcomes};
use serde_json::{Value, json};
use std::path::PathBuf;
use storage::Store;
use sync_protocol::change::Change;
use sync_protocol::wire::{SyncAnswer, SyncRequest};

storage::on_both!(a_new_server_answers_an_old_tablet);

/// The stored messages whose name begins so.
fn messages(kind: &str) -> TestResult<Vec<(String, String)>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wire/v1");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with(kind) {
            found.push((name, std::fs::read_to_string(path)?));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{kind}: {found:?}");
    Ok(found)
}

#[test]
fn old_requests_are_read_and_their_changes_stay_as_they_were() -> TestResult {
    for (name, text) in messages("request-")? {
        let request: SyncRequest<'_> =
            serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))?;
        for change in &request.push.changes {
            assert!(text.contains(change.get()), "{name}: a slice of the request, verbatim");
        }
        if name == "request-first-push.json" {
            let changes: Vec<Change> = request
                .push
                .changes
                .iter()
                .map(|raw| Change::parse(raw.get()))
                .collect::<Result<_, _>>()?;
            let ops: Vec<usize> = changes.iter().map(|change| change.ops.len()).collect();
            assert_eq!(ops, [4, 4]);
        }
    }
    Ok(())
}

#[test]
fn old_answers_are_read_without_losing_a_member() -> TestResult {
    for (name, text) in messages("answer-")? {
        let answer: SyncAnswer = serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))?;
        let before: Value = serde_json::from_str(&text)?;
        assert_eq!(serde_json::to_value(&answer)?, before, "{name}");
    }
    Ok(())
}

#[test]
fn problems_are_told_as_they_were() -> TestResult {
    use server::problem::{ApiError, Limits};
    let id = "01990000-0000-7000-8000-000000000c01".parse()?;
    let limits =
        Limits { max_body: 1_048_576, max_inflated: 8_388_608, max_change: 262_144, max_push: 200 };
    let now = [
        (
            "problem-epoch-changed.json",
            ApiError::EpochChanged { epoch: "01990000-0000-7000-8000-000000000f02".parse()? },
        ),
        ("problem-gap.json", ApiError::Gap { n: 7, id: Some(id) }),
        ("problem-too-large.json", ApiError::TooLarge { what: "the body", limits }),
    ];
    for ((name, text), (expected, problem)) in messages("problem-")?.into_iter().zip(now) {
        assert_eq!(name, expected);
        assert_eq!(problem.document(), serde_json::from_str::<Value>(&text)?, "{name}");
    }
    Ok(())
}

async fn a_new_server_answers_an_old_tablet(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mori = world.inspector("mori").await?;
    for (name, text) in messages("request-first")? {
        let answer = world.post_sync(&mori, text).await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.text);
        let read: SyncAnswer = serde_json::from_str(&answer.text)?;
        assert!(
            outcomes(&json!({ "results": read.results }))
                .iter()
                .all(|told| told.starts_with("quarantined"))
        );
    }
    let later = messages("request-later")?.pop().ok_or("a message")?.1;
    world.post_sync(&mori, later).await.refused(409, "epoch-changed");
    Ok(())
}
