//! Where photos and video lie: which settings are taken, and that the place is tried before anything is served.

use super::fickle::{Fickle, Mood};
use crate::support::TestResult;
use server::config::{Config, Objects, Secret};
use server::media::place::{Place, PlaceError, attempt, open};
use server::random::SeededRandom;
use std::net::TcpListener;
use storage::testing::Folder;

/// A bucket with its key.
fn bucket(endpoint: Option<&str>) -> Config {
    let mut config = Config::default();
    config.objects = Objects {
        url: Some("s3:photos".to_owned()),
        endpoint: endpoint.map(ToOwned::to_owned),
        key_id: Some("id".to_owned()),
        secret: Some(Secret("key".to_owned())),
        ..config.objects
    };
    config
}

fn at(url: &str) -> Config {
    let mut config = bucket(None);
    config.objects.url = Some(url.to_owned());
    config
}

#[test]
fn with_sqlite_photos_lie_beside_the_file() -> TestResult {
    let mut config = Config::default();
    for (url, folder) in [
        ("sqlite:genba.db", "genba-objects"),
        ("sqlite:/var/lib/genba/city.db?mode=rwc", "/var/lib/genba/city-objects"),
    ] {
        url.clone_into(&mut config.database.url);
        assert_eq!(Place::of(&config)?, Place::Folder(folder.into()), "{url}");
    }
    "postgres://db/genba".clone_into(&mut config.database.url);
    let refused = Place::of(&config).err().ok_or("no place")?.to_string();
    assert!(refused.contains("objects.url"), "{refused}");
    Ok(())
}

#[test]
fn a_place_that_is_none_is_refused() -> TestResult {
    let long = "b".repeat(63);
    for url in ["folder:photos", "folder:/photos", "s3:abc", &format!("s3:{long}"), "s3:a.b-1"] {
        assert!(Place::of(&at(url)).is_ok(), "{url}");
    }
    let longer = format!("s3:{long}b");
    for url in
        ["", "photos", "folder:", "s3:", "s3:ab", &longer, "s3:Photos", "s3:a_b", "s3:a/b", "ftp:x"]
    {
        let refused = Place::of(&at(url)).err().ok_or(url)?.to_string();
        assert!(refused.contains("objects.url"), "{url}: {refused}");
    }
    Ok(())
}

#[test]
fn a_bucket_needs_its_key_and_a_way_that_nobody_listens_to() -> TestResult {
    for endpoint in [
        None,
        Some("https://s3.example"),
        Some("http://127.0.0.1:9000"),
        Some("http://localhost:9000/"),
        Some("http://[::1]:9000"),
    ] {
        assert!(Place::of(&bucket(endpoint)).is_ok(), "{endpoint:?}");
    }
    for endpoint in
        ["http://s3.example", "http://127.0.0.1.example:9000", "http://10.0.0.1:9000", "s3.example"]
    {
        let mut config = bucket(Some(endpoint));
        let refused = Place::of(&config).err().ok_or(endpoint)?.to_string();
        assert!(refused.contains("objects.insecure"), "{endpoint}: {refused}");
        config.objects.insecure = true;
        assert!(Place::of(&config).is_ok(), "{endpoint}");
    }
    let whole = bucket(None);
    let no_id = Objects { key_id: None, ..whole.objects.clone() };
    let no_secret = Objects { secret: None, ..whole.objects.clone() };
    for objects in [no_id, no_secret] {
        let config = Config { objects, ..whole.clone() };
        let refused = Place::of(&config).err().ok_or("no key")?.to_string();
        assert!(refused.contains("objects.key_id and objects.secret"), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_is_made_tried_and_left_empty() -> TestResult {
    let folder = Folder::new("place")?;
    let photos = folder.path().join("deep/photos");
    let config = at(&format!("folder:{}", photos.display()));
    for seed in 0..2 {
        open(&config, &SeededRandom::new(seed)).await?;
        let left: Vec<_> = std::fs::read_dir(&photos)?.collect::<Result<_, _>>()?;
        assert!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_that_cannot_hold_photos_is_refused_at_the_start() -> TestResult {
    let folder = Folder::new("place")?;
    let file = folder.path().join("file");
    std::fs::write(&file, "")?;
    let config = at(&format!("folder:{}", file.join("photos").display()));
    let refused = open(&config, &SeededRandom::new(1)).await.err().ok_or("it is no folder")?;
    assert!(matches!(refused, PlaceError::NoFolder { .. }), "{refused:?}");
    assert!(refused.to_string().contains("objects.url"), "{refused}");

    // Where the try would be written stands something else.
    std::fs::write(folder.path().join("self-test"), "")?;
    let config = at(&format!("folder:{}", folder.path().display()));
    let refused = open(&config, &SeededRandom::new(1)).await.err().ok_or("it is not writable")?;
    assert!(matches!(refused, PlaceError::Fails { step: "writing", .. }), "{refused:?}");
    let told = refused.to_string();
    assert!(told.contains("objects.url") && told.contains(&*folder.path().to_string_lossy()));
    Ok(())
}

#[tokio::test]
async fn a_store_that_does_not_keep_or_not_remove_is_found() -> TestResult {
    for (mood, step) in [
        (Mood::Down, "writing"),
        (Mood::Full, "writing"),
        (Mood::Forgets, "reading"),
        (Mood::Mixes, "what was written reads otherwise"),
        (Mood::Keeps, "what was written reads otherwise"),
    ] {
        let store = Fickle::default();
        attempt(&store, &SeededRandom::new(1)).await.map_err(|(step, _)| step)?;
        store.be(mood);
        let failed = attempt(&store, &SeededRandom::new(2)).await.err().map(|(step, _)| step);
        assert_eq!(failed, Some(step), "{mood:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_away_stops_no_start() -> TestResult {
    let free = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", free.local_addr()?);
    drop(free);
    open(&bucket(Some(&endpoint)), &SeededRandom::new(1)).await?;
    Ok(())
}
