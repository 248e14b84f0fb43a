//! Photos and video of `genba-tablet` against the real server: from a cellar to a backup, through every bad link.

use genba_tests::bureau::{
    BUCKET, Bureau, Failure, LOOK_EVERY, LOOKS_MAX, Tablet, Watching, copy_folder,
};
use genba_tests::field_day::server::database_url;
use genba_tests::link::{Conduct, Link};
use genba_tests::uploads::camera::Shot;
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

/// What a slow link carries in a second.
const SLOW: u64 = 400_000;
/// How often a person tries again over a link that breaks.
const TRIES_MAX: usize = 40;

/// A bureau with an inspection, and the tablet of an inspector who stands before it.
struct Scene {
    bureau: Bureau,
    office: Tablet,
    first: Tablet,
    grant: String,
    record: String,
}

impl Scene {
    async fn open(name: &str) -> Result<Self, Failure> {
        let bureau = Bureau::open(name).await?;
        let url = bureau.server.url.clone();
        Self::of(bureau, &url)
    }

    /// The same, and the inspector's tablet reaches the server by `url`.
    fn of(bureau: Bureau, url: &str) -> Result<Self, Failure> {
        let (office, _) = bureau.tablet("office", "supervisor")?;
        let (first, grant) = bureau.tablet_by("first", "inspector", url)?;
        let kind = "fire_prevention_property";
        let property = office.says(&["new", kind, "--in", BUCKET, "name=taint-0815"])?;
        office.says(&["sync"])?;
        first.says(&["sync"])?;
        let about = ["new", "fire_inspection", "--about", &property, "inspection_type=regular"];
        let record = first.says(&about)?;
        first.says(&["sync"])?;
        Ok(Self { bureau, office, first, grant, record })
    }

    fn file(&self, name: &str, shot: &Shot) -> Result<String, Failure> {
        let path = self.bureau.folder.path().join(name);
        std::fs::write(&path, &shot.bytes)?;
        Ok(path.display().to_string())
    }

    /// Adds a photo or a video to the record, without a network.
    fn take(&self, command: &str, name: &str, shot: &Shot) -> TestResult {
        let file = self.file(name, shot)?;
        self.first.says(&[command, &self.record, "photos", &file])?;
        Ok(())
    }

    /// What `tablet` is given for a photo of the record, when it has synced.
    fn fetch(&self, tablet: &Tablet, shot: &Shot) -> Result<Vec<u8>, Failure> {
        tablet.says(&["sync"])?;
        let (hash, to) = (shot.blob.sha256.to_string(), self.bureau.folder.path().join("fetched"));
        tablet.says(&["media", &self.record, &hash, "--save", &to.display().to_string()])?;
        Ok(std::fs::read(to)?)
    }

    /// Reports a backup that holds everything so far.
    fn back_up(&self) -> TestResult {
        let kind = "fire_prevention_property";
        let last = self.office.says(&["new", kind, "--in", BUCKET, "name=the last"])?;
        self.office.says(&["sync"])?;
        let seq = self.office.json(&["show", &last])?["rv"].to_string();
        self.bureau.admin(&["backup-done", "--tenant", "fire", "--seq", &seq], &[])?;
        Ok(())
    }
}

/// The originals in the folder of a tablet.
fn originals(tablet: &Tablet) -> usize {
    std::fs::read_dir(tablet.0.join("media")).into_iter().flatten().count()
}

fn states(tablet: &Tablet) -> Result<Vec<String>, Failure> {
    let listed = tablet.json(&["uploads"])?;
    let uploads = listed["uploads"].as_array().ok_or("a list")?;
    Ok(uploads.iter().map(|one| one["state"].as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn a_photo_goes_from_the_cellar_to_the_backup() -> TestResult {
    let scene = Scene::open("media-photo").await?;
    let (second, _) = scene.bureau.tablet("second", "inspector")?;
    let shot = Shot::new(MediaType::Jpeg, 300_000, 1);
    let file = scene.file("photo.jpg", &shot)?;
    let row = scene.first.says(&["add-row", &scene.record, "findings", "severity=serious"])?;
    let at = format!("findings/{row}");
    let photo = ["photo", &scene.record, "photos", &file, "--caption", "感知器がない", "--at", &at];
    scene.first.says(&photo)?;
    assert_eq!(scene.first.json(&["status"])?["unsent_media"], 1);
    assert_eq!(states(&scene.first)?, ["waiting"]);

    let report = scene.first.json(&["sync"])?;
    assert_eq!((&report["uploaded"], &report["media_waiting"]), (&1.into(), &0.into()));
    assert_eq!(states(&scene.first)?, ["had"]);
    assert_eq!(originals(&scene.first), 1, "on the server, and in no backup yet");
    second.says(&["sync"])?;
    assert_eq!(scene.fetch(&second, &shot)?, shot.bytes, "a colleague sees what was photographed");
    let listed = second.json(&["media", &scene.record])?;
    assert_eq!(listed[0]["sha256"], shot.blob.sha256.to_string());

    scene.back_up()?;
    scene.first.says(&["sync"])?;
    assert_eq!(originals(&scene.first), 0);
    assert_eq!(states(&scene.first)?, Vec::<String>::new());
    assert_eq!(scene.fetch(&scene.first, &shot)?, shot.bytes, "from the server now");
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn photos_wait_for_wifi_and_the_smallest_goes_first() -> TestResult {
    let scene = Scene::open("media-wifi").await?;
    let (video, photo) =
        (Shot::new(MediaType::Mp4, 900_000, 1), Shot::new(MediaType::Png, 5_000, 2));
    scene.take("video", "v.mp4", &video)?;
    scene.take("photo", "p.png", &photo)?;
    let said = scene.first.says(&["sync", "--network", "mobile"])?;
    assert!(said.contains("that wait: 2"), "{said}");
    assert_eq!(scene.first.json(&["status"])?["unsent"], 0, "text goes over every network");
    assert_eq!(states(&scene.first)?, ["needed", "needed"]);
    let (second, _) = scene.bureau.tablet("second", "inspector")?;
    let missing = scene.fetch(&second, &photo).expect_err("not there yet").to_string();
    assert!(missing.contains("404"), "{missing}");

    let said = scene.first.says(&["policy", "--media-on", "mobile"])?;
    assert!(said.contains("mobile networks too"), "{said}");
    let said = scene.first.says(&["sync", "--network", "mobile"])?;
    let place = |shot: &Shot| {
        let hash: String = shot.blob.sha256.to_string().chars().take(12).collect();
        said.find(&format!("Uploaded {hash}")).ok_or(format!("{hash}: {said}"))
    };
    assert!(place(&photo)? < place(&video)?, "{said}");
    assert_eq!(scene.fetch(&second, &video)?, video.bytes);
    Ok(scene.bureau.server.stop()?)
}

/// A link that is slow as long as it is said to be.
async fn slow_link(bureau: &Bureau) -> Result<(Link, Arc<AtomicBool>), Failure> {
    let slow = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&slow);
    let conduct = move || Conduct {
        bytes_per_second: asked.load(Ordering::SeqCst).then_some(SLOW),
        ..Conduct::WHOLE
    };
    Ok((Link::open(&bureau.server.url, conduct).await?, slow))
}

/// A scene whose tablet was killed when half of a video had been sent; and the link, which is quick from now on.
async fn killed_half_way(name: &str, video: &Shot) -> Result<(Scene, Link), Failure> {
    let bureau = Bureau::open(name).await?;
    let (link, slow) = slow_link(&bureau).await?;
    let scene = Scene::of(bureau, &link.url)?;
    scene.take("video", "v.mp4", video)?;
    let before = link.carried();
    let mut syncing = Watching(scene.first.command(&["sync"])?.spawn()?);
    // The first piece has arrived, the second is on its way.
    for _ in 0..LOOKS_MAX {
        if link.carried() - before > 800_000 {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    syncing.0.kill()?;
    syncing.0.wait()?;
    assert!(link.carried() - before > 800_000, "it never began");
    slow.store(false, Ordering::SeqCst);
    assert_eq!(scene.first.json(&["status"])?["unsent_media"], 1);
    Ok((scene, link))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_survives_a_kill_and_goes_on() -> TestResult {
    let video = Shot::new(MediaType::Mp4, 2_500_000, 3);
    let (scene, link) = killed_half_way("media-kill", &video).await?;
    let before = link.carried();
    scene.first.says(&["sync"])?;
    let again = link.carried() - before;
    assert!(again < 2_300_000, "it began anew: {again} bytes");
    assert_eq!(states(&scene.first)?, ["had"]);
    assert_eq!(scene.fetch(&scene.office, &video)?, video.bytes);
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_time_is_over_begins_anew() -> TestResult {
    let video = Shot::new(MediaType::Mp4, 2_500_000, 4);
    let (scene, link) = killed_half_way("media-expiry", &video).await?;
    let mut database = SqliteConnection::connect(&database_url(scene.bureau.folder.path())).await?;
    let over = sqlx::query("update upload set expires_at = 1 where state = 'open'");
    assert_eq!(over.execute(&mut database).await?.rows_affected(), 1);
    database.close().await?;
    let before = link.carried();
    scene.first.says(&["sync"])?;
    assert!(link.carried() - before >= 2_500_000, "the old upload is gone");
    assert_eq!(scene.fetch(&scene.office, &video)?, video.bytes);
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_arrives_over_a_link_that_breaks() -> TestResult {
    let bureau = Bureau::open("media-link").await?;
    let bad = Arc::new(AtomicBool::new(false));
    let (asked, turns) = (Arc::clone(&bad), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&turns);
    let conduct = move || {
        if !asked.load(Ordering::SeqCst) {
            return Conduct::WHOLE;
        }
        let whole = Conduct::WHOLE;
        match counted.fetch_add(1, Ordering::SeqCst) % 5 {
            0 => Conduct { cut_after_bytes: Some(700_000), ..whole },
            1 => Conduct { cut_after_bytes: Some(300_000), reset: true, ..whole },
            2 => Conduct {
                stall: Some((200_000, Duration::from_millis(400))),
                cut_after_bytes: Some(900_000),
                ..whole
            },
            3 => Conduct { lose_answer: true, ..whole },
            _ => Conduct { cut_after: Some(Duration::from_millis(600)), ..whole },
        }
    };
    let link = Link::open(&bureau.server.url, conduct).await?;
    let scene = Scene::of(bureau, &link.url)?;
    let (video, photo) =
        (Shot::new(MediaType::Webm, 6_000_000, 5), Shot::new(MediaType::Webp, 400_000, 6));
    scene.take("video", "v.webm", &video)?;
    scene.take("photo", "p.webp", &photo)?;
    bad.store(true, Ordering::SeqCst);
    let mut tries = 0;
    while scene.first.json(&["status"])?["unsent_media"] != 0 {
        tries += 1;
        assert!(tries <= TRIES_MAX, "{}", scene.first.says(&["uploads"])?);
        let output = scene.first.command(&["sync"])?.output()?;
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }
    bad.store(false, Ordering::SeqCst);
    let turns = turns.load(Ordering::SeqCst);
    assert!(turns > 4, "the link broke {turns} times in {tries} tries");
    for shot in [&video, &photo] {
        assert_eq!(scene.fetch(&scene.office, shot)?, shot.bytes);
    }
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn what_is_not_granted_any_more_leaves_when_its_photos_have_arrived() -> TestResult {
    let scene = Scene::open("media-leave").await?;
    let shot = Shot::new(MediaType::Heic, 50_000, 7);
    scene.take("photo", "p.heic", &shot)?;
    scene.first.says(&["sync", "--network", "mobile"])?;
    let end = ["grant-end", "--tenant", "fire", "--grant", &scene.grant];
    scene.bureau.admin(&end, &[])?;
    let mut left = false;
    for _ in 0..LOOKS_MAX {
        left = scene.first.says(&["sync", "--network", "mobile"])?.contains("is not yours");
        if left {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    assert!(left, "the end of the grant takes effect");
    assert_eq!(scene.first.json(&["list"])?.as_array().map(Vec::len), Some(0), "hidden at once");
    let uploads = scene.first.json(&["uploads"])?;
    assert_eq!((&uploads["uploads"], &uploads["sealed"]), (&Value::Array(vec![]), &1.into()));
    assert!(scene.first.traces("taint-0815")? > 0, "not erased: a photo is missing");

    let report = scene.first.json(&["sync"])?;
    assert_eq!(report["uploaded"], 1, "{report}");
    assert_eq!(scene.first.traces("taint-0815")?, 0);
    assert_eq!(scene.fetch(&scene.office, &shot)?, shot.bytes);
    assert_eq!(originals(&scene.first), 1, "for the server's sake, until it is durable");
    scene.back_up()?;
    scene.first.says(&["sync"])?;
    assert_eq!(originals(&scene.first), 0);
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn a_restored_copy_uploads_what_is_missing_and_nothing_twice() -> TestResult {
    let scene = Scene::open("media-copy").await?;
    let (one, two) = (Shot::new(MediaType::Jpeg, 20_000, 8), Shot::new(MediaType::Jpeg, 30_000, 9));
    scene.take("photo", "one.jpg", &one)?;
    scene.first.says(&["sync", "--network", "mobile"])?;
    let copy = Tablet(scene.bureau.folder.path().join("copy"));
    let early = Tablet(scene.bureau.folder.path().join("early"));
    copy_folder(&scene.first.0, &copy.0)?;
    copy_folder(&scene.first.0, &early.0)?;
    scene.take("photo", "two.jpg", &two)?;
    scene.first.says(&["sync"])?;
    assert_eq!(originals(&scene.first), 2);

    let report = copy.json(&["sync"])?;
    assert_eq!((&report["uploaded"], &report["media_waiting"]), (&0.into(), &0.into()));
    assert_eq!(states(&copy)?, ["had"], "learnt anew, not sent again");

    // The bytes are gone from the second copy: the server has them, so nothing is lost and nothing waits.
    std::fs::remove_dir_all(early.0.join("media"))?;
    assert_eq!(early.json(&["sync"])?["media_waiting"], 0);
    for shot in [&one, &two] {
        assert_eq!(scene.fetch(&copy, shot)?, shot.bytes);
    }
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn each_refusal_of_a_photo_has_its_exit_code_and_a_way_out() -> TestResult {
    let scene = Scene::open("media-refusals").await?;
    let video = scene.file("v.mp4", &Shot::new(MediaType::Mp4, 1_000, 1))?;
    let photo = scene.file("p.jpg", &Shot::new(MediaType::Jpeg, 1_000, 1))?;
    let text: PathBuf = scene.bureau.folder.path().join("t.jpg");
    std::fs::write(&text, "words")?;
    let text = text.display().to_string();
    let record = scene.record.as_str();
    for (words, code, told) in [
        (vec!["photo", record, "photos", &video], 4, "use `genba-tablet video`"),
        (vec!["video", record, "photos", &photo], 4, "use `genba-tablet photo`"),
        (vec!["photo", record, "photos", &text], 4, "neither a photo"),
        (vec!["photo", record, "nothing", &photo], 4, "no field nothing"),
        (vec!["photo", record, "interview", &photo], 4, "takes no photos"),
        (vec!["photo", record, "photos", &photo, "--at", "findings/x"], 4, "there is no row"),
        (vec!["photo", record, "photos", "/nowhere.jpg"], 1, "/nowhere.jpg"),
        (vec!["photo", record, "photos", &photo, "--taken-at", "noon"], 1, "2026-11-22T14"),
        (vec!["media", record, "0123", "--save", &text], 1, "names no photo"),
        (vec!["media", record, "0123"], 2, "--save"),
        (vec!["set", record, "photos", "x"], 1, "use `photo`"),
    ] {
        let (found, complaint) = scene.first.fails(&words)?;
        assert_eq!(found, Some(code), "{words:?}: {complaint}");
        assert!(complaint.contains(told), "{words:?}: {complaint}");
    }
    assert_eq!(originals(&scene.first), 0, "nothing of it was kept");
    Ok(scene.bureau.server.stop()?)
}
