//! Photos and video: on disk before a change names them, uploaded in pieces through every failure, kept until they are
//! durable.

use crate::fake::{Fake, Folder, clock, enrol};
use crate::tus::{Fault, header};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync_protocol::blob::{BlobHash, BlobRef, MediaType, PHOTO_BYTES_MAX};
use sync_protocol::change::{Home, Op, RowPath};
use sync_protocol::id::RecordId;
use sync_protocol::replica::{BlobState, Draft, Edit};
use tablet::{
    Facts, MediaNews, MediaOn, Network, ShiftedClock, Size, SystemClock, Tablet, TabletError,
};

const FORM: &str = r#"[{"type":"trial","version":3,"ja":"試","en":"Trial","home":{"bucket":["station"]},
  "write":["inspector"],"sections":[{"code":"A","ja":"A","en":"A"}],"fields":[
  {"path":"name","section":"A","kind":"text","ja":"名","en":"Name"},
  {"path":"findings","section":"A","kind":"rows","ja":"指","en":"Findings","cells":[
    {"path":"text","kind":"text","ja":"文","en":"Text"}]},
  {"path":"photos","section":"A","kind":"photos","ja":"写","en":"Photos","cells":[
    {"path":"at","kind":"text","ja":"所","en":"Belongs to"}]},
  {"path":"plans","section":"A","kind":"photos","ja":"図","en":"Plans"}]}]"#;
const MIB: usize = 1024 * 1024;

/// A tablet with a form and a record of its own, that has never been in step since it began it.
struct Case {
    fake: Fake,
    folder: Folder,
    tablet: Tablet,
    rec: RecordId,
}

impl Case {
    async fn begin() -> Self {
        let (fake, folder) = (Fake::start().await, Folder::new());
        FORM.clone_into(&mut fake.bundle.lock().expect("not poisoned"));
        let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
        tablet.sync(|_| {}).await.expect("synced");
        let rec = tablet.new_record_id();
        let mut case = Self { fake, folder, tablet, rec };
        case.begin_record().await;
        case
    }

    /// Begins a record; the fake sends none back, so one is shown until it is in step.
    async fn begin_record(&mut self) {
        self.rec = self.tablet.new_record_id();
        let home = Home::In("station:s".parse().expect("a bucket"));
        let row = RowPath { field: "findings".to_owned(), row: "r1".to_owned() };
        let edits = vec![Edit::New(home), Edit::Add { at: row, pos: None, value: None }];
        let kind = "trial".parse().expect("a kind");
        let draft = Draft { rec: self.rec, kind, sv: 3, edits };
        self.tablet.author(&draft).await.expect("authored");
    }

    /// A file beside the tablet.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.0.join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// Takes a photo of so many bytes.
    async fn photo(&mut self, name: &str, length: usize) -> (BlobRef, Vec<u8>) {
        let bytes = jpeg(name, length);
        let file = self.file(name, &bytes);
        let captured = self.tablet.capture(self.rec, "photos", &file, &Facts::default()).await;
        (captured.expect("captured").blob, bytes)
    }

    async fn reopen(self) -> Self {
        let Self { fake, folder, tablet, rec } = self;
        drop(tablet);
        let tablet = Tablet::open(&folder.0, clock()).await.expect("opens");
        Self { fake, folder, tablet, rec }
    }

    fn state(&self, blob: &BlobRef) -> Option<BlobState> {
        self.tablet.replica().blob_state(blob.sha256)
    }

    fn stored(&self, blob: &BlobRef) -> Option<Vec<u8>> {
        let media = self.fake.media.lock().expect("not poisoned");
        media.whole.get(&blob.sha256.to_string()).cloned()
    }

    fn fault(&self, method: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.fake.media.lock().expect("not poisoned").fault(method, faults);
    }

    fn kept(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.0.join("media"))
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn why(&self) -> Vec<String> {
        self.tablet.media_standing().iter().map(|standing| standing.why.to_string()).collect()
    }

    async fn refusal(&mut self, field: &str, file: &Path, facts: &Facts) -> String {
        let refused = self.tablet.capture(self.rec, field, file, facts).await;
        refused.expect_err("refused").to_string()
    }
}

/// Bytes that begin like a JPEG and are another's for every name.
fn jpeg(name: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0];
    let mut state = name.bytes().fold(7_u32, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push((state >> 24) as u8);
    }
    bytes
}

fn mp4(length: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42".to_vec();
    bytes.resize(length, 7);
    bytes
}

#[tokio::test]
async fn a_photo_is_on_disk_and_a_change_names_it() {
    let mut case = Case::begin().await;
    let bytes = jpeg("a", 3_000);
    let file = case.file("a.jpg", &bytes);
    let facts = Facts {
        taken_at: Some(sync_protocol::clock::UnixMillis(0)),
        place: Some("三階".to_owned()),
        caption: Some("感知器がない".to_owned()),
        at: Some("findings/r1".to_owned()),
        poster_of: Some("0b".repeat(32).parse().expect("a hash")),
    };
    let captured = case.tablet.capture(case.rec, "photos", &file, &facts).await.expect("captured");
    assert_eq!((captured.blob.bytes, captured.blob.kind), (3_000, MediaType::Jpeg));
    assert_eq!(case.kept(), [format!("{}.jpg", captured.blob.sha256)]);
    let kept = case.folder.0.join("media").join(&case.kept()[0]);
    assert_eq!(std::fs::read(kept).expect("read"), bytes);
    let own = case.tablet.replica().own_changes().find(|own| own.id == captured.change);
    let change = own.and_then(|own| own.change).expect("authored");
    assert_eq!(change.sv, 3);
    let [Op::Add { at, value: Some(payload), .. }, Op::Set { value: belongs, .. }] =
        &change.ops[..]
    else {
        panic!("{:?}", change.ops)
    };
    assert_eq!((at.field.as_str(), at.row.as_str()), ("photos", captured.row.as_str()));
    let expected = json!({
        "sha256": captured.blob.sha256, "bytes": 3_000, "mime": "image/jpeg",
        "taken_at": "1970-01-01T00:00:00.000Z", "place": "三階", "caption": "感知器がない",
        "poster_of": "0b".repeat(32),
    });
    assert_eq!((payload, belongs), (&expected, &json!("findings/r1")));
    assert_eq!(BlobRef::read(payload), Some(captured.blob));
    let named = case.tablet.media_of(case.rec);
    assert_eq!(named, [("photos".to_owned(), captured.row, captured.blob)]);
    // The same photo again: one file, two rows.
    case.tablet.capture(case.rec, "plans", &file, &Facts::default()).await.expect("captured");
    assert_eq!(case.kept().len(), 1);
    assert_eq!(case.tablet.media_of(case.rec).len(), 2);
}

#[tokio::test]
async fn what_is_no_photo_is_refused_with_a_way_out() {
    let mut case = Case::begin().await;
    let good = case.file("good.jpg", &jpeg("good", 100));
    let html = case.file("page.jpg", b"<html>not a photo</html>");
    let nothing = Facts::default();
    let told = case.refusal("photos", &html, &nothing).await;
    assert!(told.contains("neither a photo") && told.contains("convert"), "{told}");
    let told = case.refusal("photos", &case.folder.0.clone(), &nothing).await;
    assert!(told.contains("is not a file") || told.contains("cannot be used"), "{told}");
    let told = case.refusal("photos", Path::new("/nowhere.jpg"), &nothing).await;
    assert!(told.contains("nowhere.jpg"), "{told}");
    let told = case.refusal("photoes", &good, &nothing).await;
    assert!(told.contains("no field photoes") && told.contains("photos or plans"), "{told}");
    let told = case.refusal("name", &good, &nothing).await;
    assert!(told.contains("takes no photos") && told.contains("photos or plans"), "{told}");
    let at = |at: &str| Facts { at: Some(at.to_owned()), ..Facts::default() };
    for wrong in ["findings/r2", "findings", "nothing/r1", ""] {
        let told = case.refusal("photos", &good, &at(wrong)).await;
        assert!(told.contains("there is no row"), "{told}");
    }
    let told = case.refusal("plans", &good, &at("findings/r1")).await;
    assert!(told.contains("leave --at out"), "{told}");
    let long = Facts { caption: Some("字".repeat(501)), ..Facts::default() };
    assert!(case.refusal("photos", &good, &long).await.contains("at most 500"));
    let film = case.file("film.mp4", &mp4(1_000));
    let still =
        Facts { poster_of: Some("0b".repeat(32).parse().expect("a hash")), ..Facts::default() };
    assert!(case.refusal("photos", &film, &still).await.contains("is a photo"));
    let fits = Facts { caption: Some("字".repeat(500)), ..Facts::default() };
    case.tablet.capture(case.rec, "photos", &good, &fits).await.expect("500 characters fit");
    assert_eq!(case.kept().len(), 1, "nothing of the others was kept");
}

#[tokio::test]
async fn the_largest_photo_has_two_sides() {
    let mut case = Case::begin().await;
    let path = case.file("large.jpg", &jpeg("large", 100));
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
    file.set_len(PHOTO_BYTES_MAX + 1).expect("grown");
    let told = case.refusal("photos", &path, &Facts::default()).await;
    assert!(told.contains("50 MiB") && told.contains("fewer dots"), "{told}");
    file.set_len(PHOTO_BYTES_MAX).expect("shrunk");
    let captured = case.tablet.capture(case.rec, "photos", &path, &Facts::default()).await;
    assert_eq!(captured.expect("captured").blob.bytes, PHOTO_BYTES_MAX);
}

#[tokio::test]
async fn text_goes_first_then_the_smallest() {
    let mut case = Case::begin().await;
    let video = mp4(300_000);
    let file = case.file("v.mp4", &video);
    case.tablet.capture(case.rec, "photos", &file, &Facts::default()).await.expect("captured");
    case.photo("large", 200_000).await;
    case.photo("small", 1_000).await;
    let report = case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!((report.answered, report.uploaded, report.media_waiting), (4, 3, 0));
    let lengths: Vec<String> = (case.fake.of_method("POST").iter())
        .filter_map(|seen| header(seen, "upload-length").map(str::to_owned))
        .collect();
    assert_eq!(lengths, ["1000", "200000", "300000"]);
    let lines = case.fake.lines();
    let first = |word: &str| lines.iter().position(|line| line.contains(word)).expect(word);
    let last = |word: &str| lines.iter().rposition(|line| line.contains(word)).expect(word);
    assert!(lines[..first("/v1/uploads")].iter().filter(|l| l.contains("/v1/sync")).count() >= 2);
    assert!(last("/v1/sync") > last("/v1/uploads"), "the end of an upload calls for a sync");
    let asked = case.fake.seen("/v1/sync").last().expect("a sync").json();
    assert_eq!(asked["blobs"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn an_original_stays_until_a_backup_has_it() {
    let mut case = Case::begin().await;
    let (blob, bytes) = case.photo("a", 5_000).await;
    assert_eq!(case.why(), ["its change is not received yet: `sync`"]);
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.state(&blob), Some(BlobState::Had));
    assert_eq!(case.stored(&blob), Some(bytes));
    let mut case = case.reopen().await;
    assert_eq!(case.kept().len(), 1, "had, and in no backup yet");
    *case.fake.durable.lock().expect("not poisoned") = Some(2);
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.kept(), Vec::<String>::new());
    assert_eq!(case.state(&blob), None);
}

#[tokio::test]
async fn a_large_photo_travels_in_pieces_with_their_checksums() {
    let mut case = Case::begin().await;
    let (blob, bytes) = case.photo("a", 4 * MIB).await;
    let mut sent = Vec::new();
    let progress = |progress: tablet::Progress<'_>| {
        if let tablet::Progress::Media(uploading) = progress {
            sent.push(uploading.sent);
        }
    };
    case.tablet.sync(progress).await.expect("synced");
    assert_eq!(case.stored(&blob), Some(bytes));
    let pieces: Vec<usize> = case.fake.of_method("PATCH").iter().map(|p| p.body.len()).collect();
    assert_eq!(pieces.iter().sum::<usize>(), 4 * MIB);
    assert!(pieces.len() >= 3 && pieces[0] < pieces[1], "they grow on a quick link: {pieces:?}");
    assert!(pieces.iter().all(|bytes| *bytes <= 8 * MIB));
    assert!(sent.is_sorted() && sent.last() == Some(&blob.bytes), "{sent:?}");
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let mut case = Case::begin().await;
    let (blob, bytes) = case.photo("a", 3 * MIB).await;
    // The first piece arrives and its answer does not; then the server is not to be reached for long.
    case.fault("PATCH", [Fault::Lost]);
    case.fault("HEAD", [Fault::Refused(503, Some(600))]);
    let broke = case.tablet.sync(|_| {}).await.expect_err("broke off");
    assert!(matches!(broke, TabletError::MediaWaits { waiting: 1, .. }), "{broke}");
    assert!(broke.to_string().contains("Everything is kept"), "{broke}");
    assert_eq!(case.tablet.replica().outbox_len(), 0, "the text went through");
    let why = case.why();
    assert!(why[0].contains("did not go through"), "{why:?}");
    let case = case.reopen().await;
    let mut case = later(case).await;
    clear_faults(&case);
    let before = case.fake.of_method("PATCH").len();
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.stored(&blob), Some(bytes));
    assert_eq!(
        case.fake.of_method("POST").iter().filter(|p| p.line.contains("uploads")).count(),
        1
    );
    let offset = header(&case.fake.of_method("PATCH")[before], "upload-offset").map(str::to_owned);
    assert!(offset.is_some_and(|offset| offset != "0"), "it began anew");
}

/// Opens the tablet of a case again, an hour and a half later by its wall clock.
async fn later(case: Case) -> Case {
    let Case { fake, folder, tablet, rec } = case;
    drop(tablet);
    let clock = ShiftedClock::new(Arc::new(SystemClock::new("run".to_owned())), 5_400_000);
    let tablet = Tablet::open(&folder.0, Arc::new(clock)).await.expect("opens");
    Case { fake, folder, tablet, rec }
}

fn clear_faults(case: &Case) {
    case.fake.media.lock().expect("not poisoned").clear_faults();
}

#[tokio::test]
async fn a_lost_answer_of_the_last_piece_sends_nothing_twice() {
    let mut case = Case::begin().await;
    let (blob, bytes) = case.photo("a", 1_000).await;
    case.fault("PATCH", [Fault::Lost]);
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.stored(&blob), Some(bytes));
    assert_eq!(case.state(&blob), Some(BlobState::Had));
    assert_eq!(case.fake.of_method("PATCH").len(), 1);
    assert_eq!(case.fake.of_method("HEAD").len(), 1, "it asks how far the upload is");
}

#[tokio::test]
async fn an_upload_that_expired_is_created_anew() {
    for fault in [Fault::Expired, Fault::Refused(410, None)] {
        let mut case = Case::begin().await;
        let (blob, bytes) = case.photo("a", 1_000).await;
        case.fault("PATCH", [fault]);
        case.tablet.sync(|_| {}).await.expect("synced");
        assert_eq!(case.stored(&blob), Some(bytes));
        let created = case.fake.of_method("POST");
        assert_eq!(created.iter().filter(|p| p.line.contains("uploads")).count(), 2);
    }
}

#[tokio::test]
async fn what_another_call_holds_or_has_moved_is_asked_about_and_sent_again() {
    for status in [409, 423, 429, 500, 502, 503, 504, 460] {
        let mut case = Case::begin().await;
        let (blob, bytes) = case.photo("a", 1_000).await;
        case.fault("PATCH", [Fault::Refused(status, Some(0))]);
        case.tablet.sync(|_| {}).await.expect("synced");
        assert_eq!(case.stored(&blob), Some(bytes), "{status}");
        assert_eq!(case.fake.of_method("HEAD").len(), 1, "{status}");
    }
}

#[tokio::test]
async fn what_the_server_does_not_take_stops_and_a_person_hears_why() {
    for status in [400, 413, 415, 422] {
        let mut case = Case::begin().await;
        let (blob, bytes) = case.photo("a", 1_000).await;
        case.fault("POST", [Fault::Refused(status, None)]);
        let report = case.tablet.sync(|_| {}).await.expect("the text is in step");
        assert_eq!((report.uploaded, report.media_waiting), (0, 1));
        let news = case.tablet.take_media_news();
        let [MediaNews::Stopped(stopped, why)] = &news[..] else { panic!("{news:?}") };
        assert_eq!(*stopped, blob);
        assert!(why.contains(&format!("told-{status}")), "{why}");
        let mut case = case.reopen().await;
        case.tablet.sync(|_| {}).await.expect("synced");
        assert_eq!(case.stored(&blob), None, "not tried again by itself");
        assert!(case.why()[0].contains("uploads --retry"), "{:?}", case.why());
        assert_eq!(case.tablet.retry_stopped().await.expect("retried"), 1);
        case.tablet.sync(|_| {}).await.expect("synced");
        assert_eq!(case.stored(&blob), Some(bytes));
    }
}

#[tokio::test]
async fn bytes_that_were_damaged_here_are_found_and_told() {
    let mut case = Case::begin().await;
    let (blob, _) = case.photo("a", 1_000).await;
    let path = case.folder.0.join("media").join(&case.kept()[0]);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.state(&blob), Some(BlobState::Lost));
    assert_eq!(case.tablet.take_media_news(), [MediaNews::Lost(blob)]);
    assert!(case.why()[0].contains("photograph it again"), "{:?}", case.why());
    case.begin_record().await;
    let (again, bytes) = case.photo("a", 1_000).await;
    assert_eq!(again, blob);
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.stored(&blob), Some(bytes));
}

#[tokio::test]
async fn bytes_that_are_gone_hold_nothing_up() {
    let mut case = Case::begin().await;
    let (blob, _) = case.photo("a", 1_000).await;
    let (other, _) = case.photo("b", 2_000).await;
    std::fs::remove_file(case.folder.0.join("media").join(format!("{}.jpg", blob.sha256)))
        .expect("removed");
    let report = case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!((report.uploaded, report.media_waiting), (1, 0));
    assert_eq!(case.state(&blob), Some(BlobState::Lost));
    assert_eq!(case.state(&other), Some(BlobState::Had));
}

#[tokio::test]
async fn photos_wait_for_wifi_unless_the_policy_says_otherwise() {
    let mut case = Case::begin().await;
    let (blob, bytes) = case.photo("a", 1_000).await;
    case.tablet.set_network(Network::Mobile);
    let report = case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!((report.waiting, report.uploaded, report.media_waiting), (0, 0, 1));
    assert_eq!(case.stored(&blob), None);
    assert!(case.why()[0].contains("Wi-Fi"), "{:?}", case.why());
    case.tablet.set_media_on(MediaOn::Mobile).expect("chosen");
    let mut case = case.reopen().await;
    case.tablet.set_network(Network::Mobile);
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.stored(&blob), Some(bytes), "the choice outlives a restart");
}

#[tokio::test]
async fn the_wait_that_the_server_asks_for_outlives_a_restart() {
    let mut case = Case::begin().await;
    let (blob, _) = case.photo("a", 1_000).await;
    case.fault("POST", [Fault::Refused(503, Some(900))]);
    let waits = case.tablet.sync(|_| {}).await.expect_err("it waits").to_string();
    assert!(waits.contains("tried again in"), "{waits}");
    let mut case = case.reopen().await;
    let uploads = case.fake.lines().iter().filter(|line| line.contains("/v1/uploads")).count();
    case.tablet.sync(|_| {}).await.expect_err("it waits still");
    let after = case.fake.lines().iter().filter(|line| line.contains("/v1/uploads")).count();
    assert_eq!(uploads, after, "not asked again");
    let mut case = later(case).await;
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.state(&blob), Some(BlobState::Had));
}

#[tokio::test]
async fn a_server_that_never_has_what_was_uploaded_is_not_fed_without_end() {
    let mut case = Case::begin().await;
    case.photo("a", 1_000).await;
    case.fake.media.lock().expect("not poisoned").forgets = true;
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(case.fake.of_method("PATCH").len(), 3);
    assert!(case.why()[0].contains("uploaded 3 times"), "{:?}", case.why());
}

#[tokio::test]
async fn bytes_go_to_no_other_server() {
    for url in ["http://127.0.0.1:9/v1/uploads/1", "//127.0.0.1:9/x", "v1/uploads/1", "/a b"] {
        let mut case = Case::begin().await;
        let (blob, _) = case.photo("a", 1_000).await;
        case.fault("POST", [Fault::Elsewhere(url.to_owned())]);
        case.tablet.sync(|_| {}).await.expect("the text is in step");
        assert_eq!(case.fake.of_method("PATCH").len(), 0, "{url}");
        assert!(case.why()[0].contains("names no upload"), "{:?}", case.why());
        assert_eq!(case.state(&blob), Some(BlobState::Needed));
    }
    let mut case = Case::begin().await;
    let (blob, _) = case.photo("a", 1_000).await;
    let own = format!("{}/v1/uploads/7", case.fake.url);
    case.fault("POST", [Fault::Elsewhere(own)]);
    case.tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(
        case.state(&blob),
        Some(BlobState::Had),
        "a whole address of its own server is good"
    );
}

#[tokio::test]
async fn what_a_crash_left_half_written_goes_and_what_no_change_names_stays_a_while() {
    let case = Case::begin().await;
    let media = case.folder.0.join("media");
    std::fs::create_dir(&media).expect("made");
    std::fs::write(media.join("0123.new"), b"half").expect("written");
    let bytes = jpeg("orphan", 500);
    let sha256 = BlobHash(sync_protocol::value::hash_of(&bytes));
    std::fs::write(media.join(format!("{sha256}.jpg")), &bytes).expect("written");
    let case = case.reopen().await;
    assert_eq!(case.kept(), [format!("{sha256}.jpg")]);
    let Case { folder, tablet, .. } = case;
    drop(tablet);
    let month = 31 * 24 * 3_600_000;
    let clock = ShiftedClock::new(Arc::new(SystemClock::new("run".to_owned())), month);
    drop(Tablet::open(&folder.0, Arc::new(clock)).await.expect("opens"));
    assert_eq!(std::fs::read_dir(media).expect("a folder").count(), 0);
}

#[tokio::test]
async fn an_original_that_is_here_is_not_fetched() {
    let mut case = Case::begin().await;
    let (blob, bytes) = case.photo("a", 1_000).await;
    let to = case.folder.0.join("out.jpg");
    let fetched = case.tablet.fetch_media(case.rec, &blob, Size::Original, &to).await;
    assert_eq!(fetched.expect("copied"), 1_000);
    assert_eq!(std::fs::read(&to).expect("read"), bytes);
    let refused = case.tablet.fetch_media(case.rec, &blob, Size::Thumb, &to).await;
    assert!(refused.expect_err("the fake has none").to_string().contains("404"));
    assert_eq!(std::fs::read(&to).expect("read"), bytes, "what was there stays");
    assert!(!case.folder.0.join("out.jpg.part").exists());
}
