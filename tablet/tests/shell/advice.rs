//! Advice without a network: what is asked, said and refused on the tablet, and in which order it stands.

use crate::fake::{Fake, Folder, enrol};
use std::path::PathBuf;
use sync_protocol::blob::MediaType;
use sync_protocol::change::{Home, Path};
use sync_protocol::id::RecordId;
use sync_protocol::replica::{Draft, Edit};
use tablet::{Fate, Mode, Question, STILLS_MAX, Still, Tablet, TabletError, Thread, Urgency};

const FORMS: [&str; 6] = [
    include_str!("../../../fixtures/forms/advice_item.json"),
    include_str!("../../../fixtures/forms/advice_message.json"),
    include_str!("../../../fixtures/forms/advice_session.json"),
    include_str!("../../../fixtures/forms/advice_still.json"),
    include_str!("../../../fixtures/forms/fire_inspection.json"),
    include_str!("../../../fixtures/forms/fire_prevention_property.json"),
];

/// A tablet in a cellar with a building and its inspection.
struct Case {
    fake: Fake,
    folder: Folder,
    tablet: Tablet,
    property: RecordId,
    inspection: RecordId,
}

impl Case {
    async fn begin() -> Self {
        let (fake, folder) = (Fake::start().await, Folder::new());
        *fake.bundle.lock().expect("not poisoned") = format!("[{}]", FORMS.join(","));
        let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
        tablet.sync(|_| {}).await.expect("synced");
        let station = Home::In("station:s".parse().expect("a bucket"));
        let property = new(&mut tablet, "fire_prevention_property", station).await;
        let inspection = new(&mut tablet, "fire_inspection", Home::About(property)).await;
        Self { fake, folder, tablet, property, inspection }
    }

    fn photo(&self, name: &str) -> Still {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0];
        bytes.extend_from_slice(name.as_bytes());
        Still { file: self.file(name, &bytes), caption: None }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.0.join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    async fn refused(&mut self, about: RecordId, question: &Question) -> String {
        let before = self.tablet.replica().outbox_len();
        let refused = self.tablet.ask(about, question).await.expect_err("refused").to_string();
        assert_eq!(self.tablet.replica().outbox_len(), before, "nothing is written: {refused}");
        refused
    }

    fn thread(&self, session: RecordId) -> Thread {
        self.tablet.thread(session).expect("a thread")
    }

    /// Takes a record to another state, as a change of anybody would.
    async fn step(&mut self, rec: RecordId, from: &str, to: &str) {
        let step = serde_json::json!({ "from": from, "to": to });
        self.edit(rec, Edit::Set(Path::Field("status".to_owned()), step)).await;
    }

    async fn edit(&mut self, rec: RecordId, edit: Edit) {
        let kind = self.tablet.replica().displayed(rec).expect("a record").kind;
        let draft = Draft { rec, kind, sv: 1, edits: vec![edit] };
        self.tablet.author(&draft).await.expect("authored");
    }
}

async fn new(tablet: &mut Tablet, kind: &str, home: Home) -> RecordId {
    let kind = kind.parse().expect("a kind");
    let draft = Draft { rec: tablet.new_record_id(), kind, sv: 1, edits: vec![Edit::New(home)] };
    tablet.author(&draft).await.expect("authored");
    draft.rec
}

fn question(text: &str, stills: Vec<Still>) -> Question {
    let (urgency, mode) = (Urgency::OnSite, Mode::Stills);
    Question { text: text.to_owned(), urgency, mode, place: Some("三階".to_owned()), stills }
}

#[tokio::test]
async fn a_question_with_its_stills_waits_for_the_next_sync() {
    let mut case = Case::begin().await;
    let stills = vec![case.photo("a.jpg"), case.photo("b.jpg")];
    let asked = case.tablet.ask(case.inspection, &question("間仕切は届出が要るか", stills)).await;
    let session = asked.expect("asked");
    case.tablet.say(session, "天井裏も見た").await.expect("said");
    let late = Still { caption: Some("受信機".to_owned()), ..case.photo("c.jpg") };
    case.tablet.send_still(session, &late).await.expect("sent");

    let thread = case.thread(session);
    assert_eq!((thread.about, thread.state.as_str()), (Some(case.inspection), "asked"));
    assert_eq!(thread.question, "間仕切は届出が要るか");
    assert_eq!(thread.urgency.as_deref(), Some("on_site"));
    assert_eq!(thread.asked_by, Some(case.tablet.profile().user));
    let said: Vec<(&str, Option<&str>, bool)> = thread
        .entries
        .iter()
        .map(|entry| (entry.kind.as_str(), entry.text.as_deref(), entry.photo.is_some()))
        .collect();
    assert_eq!(
        said,
        [
            ("advice_still", None, true),
            ("advice_still", None, true),
            ("advice_message", Some("天井裏も見た"), false),
            ("advice_still", Some("受信機"), true),
        ]
    );
    assert!(thread.entries.iter().all(|entry| !entry.sent && entry.fate.is_none()));
    let view = case.tablet.view(session).expect("a view");
    let form = case.tablet.forms().get(&"advice_session".parse().expect("a kind")).expect("a form");
    let problems = form.problems(&view, case.tablet.clock().read().now.0);
    assert!(problems.is_empty(), "{problems:?}");

    let before = case.fake.seen("/v1/sync").len();
    case.tablet.sync(|_| {}).await.expect("synced");
    let pushed: Vec<String> = case.fake.seen("/v1/sync")[before..]
        .iter()
        .flat_map(|seen| seen.json()["push"]["changes"].as_array().cloned().unwrap_or_default())
        .map(|change| change["type"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(pushed.iter().filter(|kind| *kind == "advice_session").count(), 1);
    assert_eq!(pushed.iter().filter(|kind| *kind == "advice_message").count(), 1);
    assert_eq!(pushed.iter().filter(|kind| *kind == "advice_still").count(), 6);
    assert_eq!(case.fake.media.lock().expect("not poisoned").whole.len(), 3);
}

#[tokio::test]
async fn a_question_that_cannot_be_taken_leaves_nothing_behind() {
    let mut case = Case::begin().await;
    let (inspection, property) = (case.inspection, case.property);
    let told = case.refused(property, &question("?", Vec::new())).await;
    assert!(
        told.contains("fire_inspection") && told.contains("fire_prevention_property"),
        "{told}"
    );
    let told = case.refused(RecordId(uuid::Uuid::from_u128(1)), &question("?", Vec::new())).await;
    assert!(told.contains("not on this tablet"), "{told}");
    let told = case.refused(inspection, &question(" ", Vec::new())).await;
    assert!(told.contains("the question is empty"), "{told}");

    let video =
        Still { file: case.file("v.jpg", b"\0\0\0\x18ftypisom\0\0\0\0isommp42"), caption: None };
    let told = case.refused(inspection, &question("?", vec![case.photo("a.jpg"), video])).await;
    assert!(told.contains("is no photo"), "{told}");
    let gone = Still { file: case.folder.0.join("gone.jpg"), caption: None };
    let told = case.refused(inspection, &question("?", vec![gone])).await;
    assert!(told.contains("gone.jpg cannot be used"), "{told}");
    let large = case.photo("large.jpg");
    let file = std::fs::File::options().write(true).open(&large.file).expect("opens");
    file.set_len(MediaType::Jpeg.bytes_max() + 1).expect("sparse");
    let told = case.refused(inspection, &question("?", vec![large])).await;
    assert!(told.contains("at most"), "{told}");

    let captioned = |chars| Still { caption: Some("字".repeat(chars)), ..case.photo("a.jpg") };
    let (longest, too_long) = (captioned(500), captioned(501));
    let told = case.refused(inspection, &question("?", vec![too_long])).await;
    assert!(told.contains("501 characters"), "{told}");
    case.tablet.ask(inspection, &question("?", vec![longest])).await.expect("the longest caption");

    let photos = |n: usize| (0..n).map(|n| case.photo(&format!("{n}.jpg"))).collect::<Vec<_>>();
    let (most, too_many) = (photos(STILLS_MAX), photos(STILLS_MAX + 1));
    let told = case.refused(inspection, &question("?", too_many)).await;
    assert!(told.contains("advise still"), "{told}");
    let session = case.tablet.ask(inspection, &question("?", most)).await.expect("the most stills");
    assert_eq!(case.thread(session).entries.len(), STILLS_MAX);
}

#[tokio::test]
async fn each_side_does_only_its_own_part() {
    let mut case = Case::begin().await;
    let session =
        case.tablet.ask(case.inspection, &question("?", Vec::new())).await.expect("asked");
    let own = case.tablet.answer(session, Some("!"), None).await.expect_err("one's own question");
    assert!(matches!(&own, TabletError::NotTaken(told) if told.contains("advise say")), "{own}");
    let item = new(&mut case.tablet, "advice_item", Home::About(session)).await;
    let own = case.tablet.acknowledge(item, &Fate::Followed).await.expect_err("one's own advice");
    assert!(own.to_string().contains("whoever is on site"), "{own}");
    let other = case.tablet.acknowledge(session, &Fate::Followed).await.expect_err("no advice");
    assert!(other.to_string().contains("not advice_item"), "{other}");
    let fate = case.thread(session).entries[0].fate.clone().expect("a fate");
    assert_eq!((fate.state.as_str(), fate.by), ("given", None));
    let empty = case.tablet.say(session, "\n").await.expect_err("nothing said").to_string();
    assert!(empty.contains("the message is empty"), "{empty}");
}

#[tokio::test]
async fn a_session_ends_once_and_is_then_closed() {
    let mut case = Case::begin().await;
    let ask = question("?", Vec::new());
    let first = case.tablet.ask(case.inspection, &ask).await.expect("asked");
    let early = case.tablet.end(first, "済").await.expect_err("no answer yet").to_string();
    assert!(early.contains("advise withdraw"), "{early}");
    case.tablet.withdraw(first).await.expect("withdrawn");
    assert_eq!(case.thread(first).state, "withdrawn");
    let again = case.tablet.say(first, "まだ").await.expect_err("withdrawn").to_string();
    assert!(again.contains("advise ask"), "{again}");

    let second = case.tablet.ask(case.inspection, &ask).await.expect("asked");
    case.step(second, "asked", "answered").await;
    let late = case.tablet.withdraw(second).await.expect_err("answered").to_string();
    assert!(late.contains("advise end"), "{late}");
    let empty = case.tablet.end(second, "").await.expect_err("no outcome").to_string();
    assert!(empty.contains("the outcome is empty"), "{empty}");
    case.tablet.end(second, "助言のとおり通知した").await.expect("ended");
    let thread = case.thread(second);
    assert_eq!(
        (thread.state.as_str(), thread.outcome.as_deref()),
        ("ended", Some("助言のとおり通知した"))
    );
    assert!(case.tablet.end(second, "再").await.is_err(), "ended once");
    let listed: Vec<RecordId> =
        case.tablet.threads().expect("threads").iter().map(|thread| thread.session).collect();
    assert_eq!(listed, [first, second], "the oldest first");
}

#[tokio::test]
async fn what_is_deleted_is_out_of_the_thread() {
    let mut case = Case::begin().await;
    let session =
        case.tablet.ask(case.inspection, &question("?", Vec::new())).await.expect("asked");
    let message = case.tablet.say(session, "間違い").await.expect("said");
    assert_eq!(case.thread(session).entries.len(), 1);
    case.edit(message, Edit::Del { why: None }).await;
    assert_eq!(case.thread(session).entries, []);
    case.edit(session, Edit::Del { why: None }).await;
    assert_eq!(case.tablet.threads().expect("threads"), []);
    let told = case.tablet.say(session, "?").await.expect_err("deleted").to_string();
    assert!(told.contains("undelete"), "{told}");
    case.edit(session, Edit::Undel).await;
    case.tablet.say(session, "続き").await.expect("it is there again");
    assert_eq!(case.thread(session).entries.len(), 1);
}

#[tokio::test]
async fn without_the_forms_a_tablet_says_to_sync_first() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    let station = Home::In("station:s".parse().expect("a bucket"));
    let inspection = new(&mut tablet, "fire_inspection", station).await;
    let told = tablet.ask(inspection, &question("?", Vec::new())).await.expect_err("no form");
    assert!(told.to_string().contains("advice_session") && told.to_string().contains("sync first"));
}
