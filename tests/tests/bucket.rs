//! Photos in the bucket of a real S3 service, which goes away and comes back.

use genba_tests::crash::child::Launch;
use genba_tests::crash::site::Site;
use genba_tests::uploads::bucket::S3;
use genba_tests::uploads::camera::Shot;
use genba_tests::uploads::campaign::{Place, Plan, run};
use genba_tests::uploads::client::{Checksum, Patched, Uploader};
use server::clock::{Clock as _, SystemClock};
use storage::testing::{Folder, TestResult};
use storage::{Options, Store};
use sync_protocol::blob::MediaType;
use uuid::Uuid;

const BYTES: usize = 300_000;
const CHUNK: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn uploads_through_every_fault_arrive_in_a_bucket() -> TestResult {
    let folder = Folder::new("bucket")?;
    let s3 = S3::start(&folder.path().join("s3")).await?;
    let plan = Plan {
        database_url: format!("sqlite:{}/genba.db", folder.path().display()),
        uploads: 100,
        nodes: 1,
        kills: 1,
        seed: 1,
        place: Place::Bucket(s3.bucket.clone()),
    };
    let report = run(folder.path(), &plan).await?;
    println!("{report:#?}");
    assert_eq!(report.wrongs, Vec::<String>::new());
    assert_eq!(report.whole, plan.uploads);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_text_goes_on_and_uploads_resume_later() -> TestResult {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let folder = Folder::new("bucket")?;
    let mut s3 = S3::start(&folder.path().join("s3")).await?;
    let url = format!("sqlite:{}/genba.db", folder.path().display());
    let store = Store::open(&Options::new(url.clone())).await?;
    let site = Site::make(&store, 1, SystemClock.now()).await?;
    store.close().await;
    let launch = Launch::new(folder.path(), &url)?.bucket(&s3.bucket);
    let server = launch.start_whole(&reqwest::Client::new()).await?;
    let person = *site.people.first().ok_or("a person")?;
    let uploader = Uploader::new(site.token(person, SystemClock.now()))?;
    let shot = Shot::new(MediaType::Heic, BYTES, 5);
    let chunk = |from: usize| shot.bytes.get(from..from + CHUNK).unwrap_or_default().to_vec();
    let base = &server.url;

    let path = uploader.create(base, &shot).await?.ok_or("an answer")?;
    let path = path.map_err(|status| format!("refused with {status}"))?;
    let first = uploader.patch(base, &path, 0, chunk(0), Checksum::Right).await;
    assert_eq!(first, Patched::Taken(100_000));

    s3.kill()?;
    let refused = uploader.patch(base, &path, 100_000, chunk(CHUNK), Checksum::Right).await;
    assert_eq!(refused, Patched::Refused(503));
    assert_eq!(uploader.offset(base, &path).await, Some(Ok(100_000)));
    let rec = Uuid::from_u128(21).to_string();
    let named = uploader.name(base, &rec, &shot, &Uuid::from_u128(22).to_string()).await?;
    assert_eq!(named, 200, "text goes on");
    // A server that starts meanwhile serves text, too.
    server.kill()?;
    let server = launch.start_whole(&reqwest::Client::new()).await?;
    let base = &server.url;
    assert_eq!(uploader.read(base, &rec, &shot).await?.0, 404, "not whole yet");

    s3.revive().await?;
    for from in [CHUNK, 2 * CHUNK] {
        let offset = u64::try_from(from)?;
        let taken = uploader.patch(base, &path, offset, chunk(from), Checksum::Right).await;
        assert_eq!(taken, Patched::Taken(offset + 100_000));
    }
    let (status, bytes) = uploader.read(base, &rec, &shot).await?;
    assert_eq!(status, 200);
    assert!(bytes == shot.bytes, "the bytes that come back are others");

    s3.kill()?;
    assert_eq!(uploader.read(base, &rec, &shot).await?.0, 503);
    Ok(())
}
