//! Several calls, several nodes: one writer at a time, and any node goes on.

use super::fickle::{Fickle, Mood};
use super::scene::{Scene, on_both, photo, piece, waiting};
use crate::support::{TestResult, World};
use object_store::ObjectStoreExt as _;
use server::config::Config;
use server::media::collect;
use server::media::tus::EMPTY_LIFETIME_MS;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::UploadState;
use tokio::time::sleep;

on_both!(
    a_second_writer_takes_over_what_the_first_has_received,
    of_two_that_send_the_same_one_wins,
    another_node_goes_on_where_the_first_was,
    an_upload_that_is_ended_stops_its_writer,
    two_people_who_send_the_same_photo_have_one_blob,
    who_sends_a_photo_again_heals_one_that_was_lost_or_damaged,
);

async fn a_second_writer_takes_over_what_the_first_has_received(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 1);
    let place = scene.begin(&bytes).await;
    let began = Instant::now();
    let first = scene.patch(&place, 0, waiting(piece(&bytes, ..400)), &[]);
    let second = async {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(scene.head(&place).await.at(), (200, "0"), "HEAD waits for nobody");
        scene.patch(&place, 0, bytes.clone(), &[]).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.refused(), (423, "upload-locked".to_owned()));
    assert_eq!(second.refused(), (409, "upload-offset".to_owned()), "the first had come to 400");
    assert_eq!(scene.head(&place).await.at(), (200, "400"));
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert_eq!(scene.patch(&place, 400, piece(&bytes, 400..), &[]).await.at(), (204, "1000"));
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn of_two_that_send_the_same_one_wins(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 2);
    let place = scene.begin(&bytes).await;
    let send = || scene.patch(&place, 0, piece(&bytes, ..500), &[]);
    let answers = tokio::join!(send(), send(), send());
    let mut statuses = [answers.0, answers.1, answers.2].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409, 409]);
    assert_eq!(scene.head(&place).await.at(), (200, "500"));
    Ok(())
}

async fn another_node_goes_on_where_the_first_was(mut scene: Scene) -> TestResult {
    let bytes = photo((8 << 20) + 500_000, 3);
    let place = scene.begin(&bytes).await;
    let mut offset = 0;
    for (at, end) in [123_457, 8_500_000, bytes.len()].into_iter().enumerate() {
        let answer = scene.patch(&place, offset, piece(&bytes, offset..end), &[]).await;
        assert_eq!(answer.at(), (204, &*end.to_string()), "{at}: {}", answer.text);
        offset = end;
        scene.world.app = server::app(&scene.world.neighbour().await?);
        assert_eq!(scene.head(&place).await.at(), (200, &*end.to_string()));
    }
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn an_upload_that_is_ended_stops_its_writer(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 4);
    let place = scene.begin(&bytes).await;
    let writer = scene.patch(&place, 0, waiting(piece(&bytes, ..400)), &[]);
    let end = async {
        sleep(Duration::from_millis(100)).await;
        scene.end(&place).await
    };
    let (sent, ended) = tokio::join!(writer, end);
    assert_eq!(ended.status.as_u16(), 204);
    assert_eq!(sent.refused(), (410, "upload-gone".to_owned()));
    assert_eq!(scene.row(&place).await?.1, []);
    Ok(())
}

async fn two_people_who_send_the_same_photo_have_one_blob(mut scene: Scene) -> TestResult {
    let bytes = photo(600_000, 5);
    let mut places = Vec::new();
    for login in ["abe", "ito"] {
        let tablet = scene.world.tablet("fire", login).await?;
        scene.token = scene.world.token(&tablet).await;
        places.push((scene.token.clone(), scene.begin(&bytes).await));
    }
    let mut sent = Vec::new();
    for (token, place) in &places {
        scene.token.clone_from(token);
        sent.push(scene.patch(place, 0, bytes.clone(), &[]).await.status.as_u16());
    }
    assert_eq!(sent, [204, 204]);
    let blob = scene.blob(&bytes).await?.ok_or("a blob")?;
    let (_, last) = places.last().ok_or("a place")?;
    assert!(last.ends_with(&blob.home.to_string()), "what was proven last is its home");
    assert_eq!(scene.objects().await?.len(), 2);
    scene.world.clock.advance(2 * 3_600 * 1_000);
    for name in collect::unswept(&scene.world.state).await? {
        collect::sweep(&scene.world.state, &name).await?;
    }
    assert_eq!(scene.objects().await?.len(), 1, "the first copy was thrown away");
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn who_sends_a_photo_again_heals_one_that_was_lost_or_damaged(scene: Scene) -> TestResult {
    let bytes = photo(600_000, 7);
    scene.upload(&bytes).await;
    for damage in [None, Some(vec![7; bytes.len()])] {
        let objects = scene.objects().await?;
        let last = scene.blob(&bytes).await?.ok_or("a blob")?.home.0.simple().to_string();
        let key = objects.iter().find(|key| key.contains(&last)).ok_or("its object")?;
        let path = object_store::path::Path::from(key.as_str());
        match damage {
            None => scene.world.objects.delete(&path).await?,
            Some(other) => drop(scene.world.objects.put(&path, other.into()).await?),
        }
        assert_ne!(scene.stored(&bytes).await.ok(), Some(bytes.clone()), "it is lost");
        scene.upload(&bytes).await;
        assert_eq!(scene.stored(&bytes).await?, bytes);
    }
    Ok(())
}

#[tokio::test]
async fn what_comes_slowly_is_claimed_before_its_part_is_full() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(900_000, 8);
    let place = scene.begin(&bytes).await;
    let writer = scene.patch(&place, 0, waiting(piece(&bytes, ..300_000)), &[]);
    let looker = async {
        for _ in 0..200 {
            if scene.head(&place).await.at() == (200, "300000") {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    };
    let claimed = tokio::select! {
        answer = writer => return Err(format!("it ended: {}", answer.text).into()),
        claimed = looker => claimed,
    };
    assert!(claimed, "within 20 seconds");
    Ok(())
}

#[tokio::test]
async fn a_call_that_still_sends_keeps_its_upload() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(900_000, 10);
    let place = scene.begin(&bytes).await;
    let writer = scene.patch(&place, 0, waiting(piece(&bytes, ..1_000)), &[]);
    let time = async {
        sleep(Duration::from_millis(200)).await;
        for _ in 0..2 {
            scene.world.clock.advance(EMPTY_LIFETIME_MS - 1_000);
            sleep(Duration::from_millis(1_500)).await;
            collect::expire(&scene.world.state).await?;
        }
        TestResult::Ok(scene.row(&place).await?.0.state)
    };
    let state = tokio::select! {
        answer = writer => return Err(format!("it ended: {}", answer.text).into()),
        state = time => state?,
    };
    assert_eq!(state, UploadState::Open);
    Ok(())
}

#[tokio::test]
async fn a_stop_claims_what_has_come_and_says_so() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(900_000, 9);
    let place = scene.begin(&bytes).await;
    let writer = scene.patch(&place, 0, waiting(piece(&bytes, ..1_000)), &[]);
    let stop = async {
        sleep(Duration::from_millis(200)).await;
        scene.world.state.stop.cancel();
    };
    let (answer, ()) = tokio::join!(writer, stop);
    assert_eq!(answer.refused(), (503, "not-ready".to_owned()));
    assert_eq!(scene.row(&place).await?.0.received, 1_000);
    Ok(())
}

#[tokio::test]
async fn many_who_send_slowly_keep_nobody_out() -> TestResult {
    const SLOW: usize = 15;
    let scene = Scene::new().await?;
    let mut places = Vec::new();
    for n in 0..SLOW {
        let bytes = photo(10_000_000, u32::try_from(n)?);
        places.push((scene.begin(&bytes).await, bytes));
    }
    let slow = places
        .iter()
        .map(|(place, bytes)| scene.patch(place, 0, waiting(piece(bytes, ..9_000_000)), &[]));
    let small = photo(3_000, 99);
    let sent = async {
        sleep(Duration::from_secs(2)).await;
        scene.upload(&small).await;
        scene.stored(&small).await
    };
    let stored = tokio::select! {
        _ = futures_util::future::join_all(slow) => return Err("they ended".into()),
        stored = sent => stored?,
    };
    assert_eq!(stored, small);
    Ok(())
}

#[tokio::test]
async fn a_writer_that_died_is_waited_for_until_its_lease_ends() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 6);
    let place = scene.begin(&bytes).await;
    let (row, _) = scene.row(&place).await?;
    let now = row.created_at;
    let owner = uuid::Uuid::from_u128(7);
    let mut tx = scene.world.base.store.write().await?;
    assert!(tx.uploads().take(&scene.tenant, row.id, owner, now, now.plus(15_000)).await?);
    tx.commit().await?;
    let later = async {
        sleep(Duration::from_millis(300)).await;
        scene.world.clock.advance(15_000);
    };
    let (answer, ()) = tokio::join!(scene.patch(&place, 0, bytes.clone(), &[]), later);
    assert_eq!(answer.at(), (204, "1000"), "{}", answer.text);
    Ok(())
}

/// Waits for as long as the server does.
#[tokio::test]
async fn a_writer_that_cannot_stop_is_waited_for_20_seconds() -> TestResult {
    let store = Arc::new(Fickle::default());
    let base = storage::testing::sqlite().await?;
    let objects = Arc::<Fickle>::clone(&store);
    let scene = Scene::of(World::over_objects(base, Config::default(), objects).await?).await?;
    let bytes = photo(1_000, 7);
    let place = scene.begin(&bytes).await;
    store.be(Mood::Slow);
    let began = Instant::now();
    let first = scene.patch(&place, 0, piece(&bytes, ..400), &[]);
    let second = async {
        sleep(Duration::from_millis(200)).await;
        let answer = scene.patch(&place, 0, bytes.clone(), &[]).await;
        store.writes.add_permits(1);
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second.refused(), (423, "upload-locked".to_owned()));
    assert!((20..25).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(first.at(), (204, "400"), "what was being written is taken");
    Ok(())
}
