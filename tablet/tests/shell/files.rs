//! The files of a tablet.

use crate::fake::{Fake, Folder, clock, enrol};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use sync_protocol::replica::{Table, Write};
use tablet::{Database, DeviceKey, Tablet, TabletError};

#[tokio::test]
async fn a_tablet_is_enrolled_once_and_opens_again() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let missing = Tablet::open(&folder.0, clock()).await.expect_err("not enrolled");
    assert!(matches!(missing, TabletError::NotEnrolled(_)), "{missing}");
    let tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    assert_eq!(tablet.profile().user_name, "Sato");
    let replica = tablet.replica().replica_id();
    let busy = Tablet::open(&folder.0, clock()).await.expect_err("in use");
    assert!(matches!(busy, TabletError::InUse(_)), "{busy}");
    drop(tablet);
    let twice = enrol(&folder.0, &fake.url).await.expect_err("enrolled already");
    assert!(matches!(twice, TabletError::Enrolled(_)), "{twice}");
    let tablet = Tablet::open(&folder.0, clock()).await.expect("opens");
    assert_eq!(tablet.replica().replica_id(), replica, "the same incarnation");
    let enrolled = fake.seen("/v1/enrol");
    assert_eq!(enrolled.len(), 1);
    assert_eq!(enrolled[0].json()["public_key"]["crv"], "Ed25519");
    assert!(enrolled[0].json()["public_key"].get("d").is_none(), "the private part stays");
}

#[tokio::test]
async fn an_enrolment_that_failed_is_tried_again_with_the_same_key() {
    let folder = Folder::new();
    let nobody = enrol(&folder.0, "http://127.0.0.1:1").await.expect_err("nobody listens");
    assert!(matches!(nobody, TabletError::Unreachable(_)), "{nobody}");
    let key = DeviceKey::open(&folder.0.join("device.key")).expect("the key").jwk();
    let fake = Fake::start().await;
    enrol(&folder.0, &fake.url).await.expect("enrolled");
    assert_eq!(fake.seen("/v1/enrol")[0].json()["public_key"], key);
}

#[test]
fn the_key_file_is_for_its_user_alone() {
    let folder = Folder::new();
    let path = folder.0.join("device.key");
    let key = DeviceKey::create(&path).expect("a key");
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(DeviceKey::open(&path).expect("opens").jwk(), key.jwk());
    assert!(DeviceKey::create(&path).is_err(), "a key is never overwritten");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let open = DeviceKey::open(&path).expect_err("others can read it").to_string();
    assert!(open.contains("chmod 600"), "{open}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    std::fs::write(&path, b"no key").expect("written");
    assert!(DeviceKey::open(&path).expect_err("no key").to_string().contains("no Ed25519 key"));
}

fn write(key: &str, value: Option<&str>) -> Write {
    Write { table: Table::Record, key: key.to_owned(), value: value.map(|v| v.as_bytes().to_vec()) }
}

/// How often a text stands anywhere in the files of a folder.
fn traces(dir: &Path, text: &str) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        count += bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
    }
    count
}

#[tokio::test]
async fn what_is_vacuumed_is_nowhere_in_the_files() {
    let folder = Folder::new();
    let mut database = Database::open(&folder.0.join("t.db")).await.expect("opens");
    let long = format!("taint-5e1f {}", "x".repeat(20_000));
    for number in 0..50 {
        let key = format!("k{number}");
        database.commit(&[write(&key, Some(&long))]).await.expect("committed");
        database.commit(&[write(&key, Some(&long.to_uppercase()))]).await.expect("committed");
        database.commit(&[write(&key, Some(&long))]).await.expect("committed");
    }
    database.commit(&[write("keep", Some("taint-free"))]).await.expect("committed");
    assert!(traces(&folder.0, "taint-5e1f") > 0, "the search finds what is there");
    let deletes: Vec<Write> = (0..50).map(|number| write(&format!("k{number}"), None)).collect();
    database.commit(&deletes).await.expect("committed");
    database.vacuum(true).await.expect("vacuumed");
    assert_eq!(traces(&folder.0, "taint-5e1f"), 0);
    assert_eq!(traces(&folder.0, "TAINT-5E1F"), 0);
    let rows = database.rows().await.expect("rows");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].value, b"taint-free");
}

#[tokio::test]
async fn a_database_of_another_program_is_named() {
    let folder = Folder::new();
    let path = folder.0.join("t.db");
    std::fs::write(&path, b"this is no database, and long enough to be looked at closely")
        .expect("written");
    let failed = Database::open(&path).await.expect_err("no database").to_string();
    assert!(failed.contains("local database"), "{failed}");
}
