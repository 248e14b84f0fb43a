//! The calls to the server, and what becomes of a tablet when they fail.

use crate::fake::{DEVICE, Fake, Folder, USER, accept_all, clock, enrol};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sync_protocol::change::{Home, Path};
use sync_protocol::replica::{Draft, Edit};
use sync_protocol::value::{hash_of, hash_text};
use tablet::{SyncReport, Tablet, TabletError};

async fn begin(tablet: &mut Tablet, title: &str) {
    let home = Home::In("station:s".parse().expect("a bucket"));
    let draft = Draft {
        rec: tablet.new_record_id(),
        kind: "fire_inspection".parse().expect("a kind"),
        sv: 1,
        edits: vec![Edit::New(home), Edit::Set(Path::Field("title".to_owned()), json!(title))],
    };
    tablet.author(&draft).await.expect("authored");
}

fn unauthorised() -> (u16, String) {
    (401, json!({ "type": "/problems/unauthorised" }).to_string())
}

#[tokio::test]
async fn a_change_survives_every_failure_and_is_sent_in_the_end() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    begin(&mut tablet, "first").await;
    fake.answers([
        (500, "broken".to_owned()),
        (200, "<html>a portal of the hotel</html>".to_owned()),
    ]);
    let report = tablet.sync(|_| {}).await.expect("synced in the end");
    assert_eq!((report.answered, report.waiting), (1, 0));
    drop(tablet);
    let tablet = Tablet::open(&folder.0, clock()).await.expect("opens");
    assert_eq!(tablet.replica().outbox_len(), 0);
    let attempts: Vec<Value> =
        fake.seen("/v1/sync").iter().map(|s| s.json()["attempt"].clone()).collect();
    assert!(
        attempts.len() >= 3 && attempts[0] == attempts[1] && attempts[1] == attempts[2],
        "{attempts:?}"
    );
    let by = &fake.seen("/v1/sync")[0].json()["push"]["changes"][0]["by"];
    assert_eq!(by, USER);
}

#[tokio::test]
async fn a_token_that_is_refused_is_asked_for_again_once() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    fake.answers([unauthorised()]);
    let report = tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(report, SyncReport { rounds: 1, ..SyncReport::default() });
    assert_eq!(fake.seen("/v1/token").len(), 2);
    begin(&mut tablet, "kept").await;
    fake.answers([unauthorised(), unauthorised()]);
    let refused = tablet.sync(|_| {}).await.expect_err("refused");
    assert!(matches!(refused, TabletError::SyncFailed { status: 401, .. }), "{refused}");
    assert_eq!(tablet.replica().outbox_len(), 1, "the change is kept");
}

#[tokio::test]
async fn an_assertion_says_who_and_for_whom() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    tablet.sync(|_| {}).await.expect("synced");
    let assertion =
        fake.seen("/v1/token")[0].json()["assertion"].as_str().expect("a text").to_owned();
    let parts: Vec<Vec<u8>> =
        assertion.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    let [header, claims, signature] = parts.as_slice() else { panic!("three parts") };
    let header: Value = serde_json::from_slice(header).expect("JSON");
    assert_eq!(header, json!({ "typ": "genba-assertion+jwt", "alg": "EdDSA" }));
    let claims: Value = serde_json::from_slice(claims).expect("JSON");
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(DEVICE), &json!(DEVICE)));
    assert_eq!((&claims["aud"], &claims["nonce"]), (&json!("genba"), &json!("n")));
    let jwk = fake.seen("/v1/enrol")[0].json()["public_key"]["x"].clone();
    let public = URL_SAFE_NO_PAD.decode(jwk.as_str().expect("x")).expect("base64url");
    let signed = assertion.rsplit_once('.').expect("a signature").0;
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public)
        .verify(signed.as_bytes(), signature)
        .expect("the device's signature");
}

#[tokio::test]
async fn forms_are_taken_only_with_the_hash_that_was_told() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    let forms = "[]".to_owned();
    let hash = hash_text(&hash_of(forms.as_bytes()));
    let nothing = json!({ "push": { "from": 1, "changes": [] } });
    *fake.bundle.lock().expect("not poisoned") = r#"[{"type":"other"}]"#.to_owned();
    fake.answers([(200, accept_all(&nothing, &hash).to_string())]);
    let altered = tablet.sync(|_| {}).await.expect_err("altered").to_string();
    assert!(altered.contains("hash"), "{altered}");
    *fake.bundle.lock().expect("not poisoned") = forms;
    drop(tablet);
    let mut tablet = Tablet::open(&folder.0, clock()).await.expect("opens");
    fake.answers([(200, accept_all(&nothing, &hash).to_string())]);
    tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(fake.seen(&format!("/v1/bundles/{hash}")).len(), 2);
    fake.answers([(200, accept_all(&nothing, &hash).to_string())]);
    tablet.sync(|_| {}).await.expect("synced");
    assert_eq!(fake.seen(&format!("/v1/bundles/{hash}")).len(), 2, "stored: not asked for again");
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_told_to_the_person() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    begin(&mut tablet, "kept").await;
    let busy = json!({ "type": "/problems/overloaded", "retry_after_ms": 900_000 });
    fake.answers([(503, busy.to_string())]);
    let refused = tablet.sync(|_| {}).await.expect_err("busy").to_string();
    assert!(refused.contains("wait 9") || refused.contains("wait 89"), "{refused}");
    assert_eq!(tablet.replica().outbox_len(), 1);
}

#[tokio::test]
async fn a_long_push_travels_compressed() {
    let (fake, folder) = (Fake::start().await, Folder::new());
    let mut tablet = enrol(&folder.0, &fake.url).await.expect("enrolled");
    for number in 0..30 {
        begin(&mut tablet, &format!("record {number}")).await;
    }
    tablet.sync(|_| {}).await.expect("synced");
    let seen = fake.seen("/v1/sync");
    assert!(seen[0].headers.to_ascii_lowercase().contains("content-encoding: zstd"));
    assert_eq!(seen[0].json()["push"]["changes"].as_array().map(Vec::len), Some(30));
}
