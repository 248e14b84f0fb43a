//! Reading: bytes come back as they came, in whole and in ranges, to those who may know of them.

use super::reader::{rec, shown_at};
use super::scene::{Scene, hex, on_both, photo, piece, sha256};
use crate::support::TestResult;
use axum::http::Method;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use sync_protocol::id::{Bucket, Tenant};

on_both!(
    the_original_comes_back_as_it_came,
    ranges_are_cut_across_parts,
    conditions_spare_the_bytes,
    knowing_a_hash_gives_nothing,
    a_picture_that_is_not_made_is_named,
    what_is_damaged_is_never_whole,
    what_is_gone_is_told_so,
);

const MIB: usize = 1 << 20;

async fn the_original_comes_back_as_it_came(scene: Scene) -> TestResult {
    let bytes = photo(9 * MIB + 7, 1);
    let place = scene.shown(&bytes).await?;
    let name: String = hex(sha256(&bytes));
    for encoding in ["", "gzip, zstd, br", "identity;q=0, gzip"] {
        let read = scene.read(&place, &[("accept-encoding", encoding)]).await;
        assert_eq!(read.status, 200);
        assert!(read.body.as_deref() == Some(&*bytes), "{encoding}");
        let length = bytes.len().to_string();
        for (header, value) in [
            ("content-type", "image/jpeg"),
            ("content-length", &*length),
            ("content-encoding", ""),
            ("etag", &format!("\"{name}\"")),
            ("content-disposition", &format!("attachment; filename=\"{}.jpg\"", &name[..16])),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(read.header(header), value, "{header}");
        }
        let policy = read.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
        assert!(!read.header("cache-control").contains("public"));
    }
    let head = scene.read_as(Method::HEAD, &place, &[]).await;
    assert_eq!(head.told(), (200, "", &[][..]));
    assert_eq!(head.header("content-length"), bytes.len().to_string());
    assert_eq!(head.header("etag"), format!("\"{name}\""));
    Ok(())
}

async fn ranges_are_cut_across_parts(scene: Scene) -> TestResult {
    let bytes = photo(600_000, 2);
    let upload = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&upload, 0, piece(&bytes, ..300_000), &[]).await.status, 204);
    assert_eq!(scene.patch(&upload, 300_000, piece(&bytes, 300_000..), &[]).await.status, 204);
    assert_eq!(scene.row(&upload).await?.1.len(), 2, "two parts");
    scene.put_record(&scene.tenant, rec(1), Bucket::everyone()).await?;
    scene.name(&scene.tenant, rec(1), scene.user, &bytes).await?;
    let place = shown_at(rec(1), &bytes);
    for (asked, told, range) in [
        ("bytes=0-0", "bytes 0-0/600000", 0..1),
        ("bytes=0-99", "bytes 0-99/600000", 0..100),
        ("bytes=299990-300009", "bytes 299990-300009/600000", 299_990..300_010),
        ("bytes=299999-299999", "bytes 299999-299999/600000", 299_999..300_000),
        ("bytes=300000-300000", "bytes 300000-300000/600000", 300_000..300_001),
        ("bytes=-10", "bytes 599990-599999/600000", 599_990..600_000),
        ("bytes=599999-", "bytes 599999-599999/600000", 599_999..600_000),
        ("bytes=1-", "bytes 1-599999/600000", 1..600_000),
    ] {
        let read = scene.read(&place, &[("range", asked), ("accept-encoding", "gzip")]).await;
        let length = range.len().to_string();
        assert!(read.told() == (206, told, &*piece(&bytes, range)), "{asked}: {}", read.status);
        assert_eq!(read.header("content-length"), length, "{asked}");
        assert_eq!(read.header("content-type"), "image/jpeg", "no multipart");
        assert!(read.header("content-disposition").starts_with("attachment"));
        assert_eq!(read.header("x-content-type-options"), "nosniff");
        assert!(read.header("content-security-policy").contains("sandbox"));
    }
    for asked in ["bytes=600000-", "bytes=600000-600001", "bytes=-0"] {
        let read = scene.read(&place, &[("range", asked)]).await;
        assert_eq!((read.status.as_u16(), read.header("content-range")), (416, "bytes */600000"));
        assert!(read.text().1.contains("/problems/range-not-satisfiable"), "{asked}");
    }
    for asked in ["bytes=0-1,5-6", "bytes=2-1", "lines=1-2"] {
        let read = scene.read(&place, &[("range", asked)]).await;
        assert!(read.told() == (200, "", &bytes[..]), "{asked}: {}", read.status);
    }
    Ok(())
}

async fn conditions_spare_the_bytes(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 3);
    let place = scene.shown(&bytes).await?;
    let tag = format!("\"{}\"", hex(sha256(&bytes)));
    let read = scene.read(&place, &[("if-none-match", &tag)]).await;
    assert_eq!(read.told(), (304, "", &[][..]));
    assert_eq!(read.header("etag"), tag);
    assert_eq!(scene.read(&place, &[("if-none-match", "\"other\"")]).await.status, 200);
    let range = ("range", "bytes=5-8");
    let read = scene.read(&place, &[range, ("if-range", &tag)]).await;
    assert_eq!(read.told(), (206, "bytes 5-8/1000", &*piece(&bytes, 5..9)));
    let read = scene.read(&place, &[range, ("if-range", "\"other\"")]).await;
    assert_eq!(read.told(), (200, "", &bytes[..]));
    Ok(())
}

async fn knowing_a_hash_gives_nothing(mut scene: Scene) -> TestResult {
    let fire = scene.tenant.clone();
    let welfare: Tenant = "welfare".parse()?;
    let (theirs, mine, absent) = (photo(900, 4), photo(900, 5), photo(900, 6));
    let shown = scene.shown(&theirs).await?;
    let sato = scene.world.tablet("fire", "sato").await?;
    let other = scene.world.tablet("welfare", "ueda").await?;
    scene.token = scene.world.token(&sato).await;
    assert_eq!(scene.read(&shown, &[]).await.status, 200, "who sees the record sees its photo");
    let unknown = scene.read(&shown_at(rec(1), &absent), &[]).await.text();
    assert_eq!(unknown.0, 404);
    scene.upload(&mine).await;
    for n in [2, 3] {
        scene.put_record(&fire, rec(n), Bucket::everyone()).await?;
    }
    scene.put_record(&fire, rec(4), "station:south".parse()?).await?;
    scene.name(&fire, rec(2), sato.user, &theirs).await?;
    scene.name(&fire, rec(3), sato.user, &absent).await?;
    scene.name(&fire, rec(4), sato.user, &mine).await?;
    for (what, path) in [
        ("another's blob that I name", shown_at(rec(2), &theirs)),
        ("a blob that has not come", shown_at(rec(3), &absent)),
        ("my blob in a record that I may not see", shown_at(rec(4), &mine)),
        ("my blob in a record that does not name it", shown_at(rec(1), &mine)),
        ("a record that is not there", shown_at(rec(9), &theirs)),
    ] {
        assert_eq!(scene.read(&path, &[]).await.text(), unknown, "{what}");
        let ranged = scene.read(&path, &[("range", "bytes=0-0"), ("if-none-match", "*")]).await;
        assert_eq!(ranged.text(), unknown, "{what}");
        assert_eq!(scene.read(&format!("{path}?size=thumb"), &[]).await.text(), unknown, "{what}");
    }
    scene.token = scene.world.token(&other).await;
    assert_eq!(scene.read(&shown, &[]).await.text(), unknown, "another tenant's");
    scene.put_record(&welfare, rec(1), Bucket::everyone()).await?;
    scene.name(&welfare, rec(1), other.user, &theirs).await?;
    assert_eq!(scene.read(&shown, &[]).await.text(), unknown, "another tenant's, named here");
    scene.upload(&theirs).await;
    assert!(scene.read(&shown, &[]).await.told() == (200, "", &theirs[..]), "shown here");
    scene.token = scene.world.token(&sato).await;
    scene.upload(&theirs).await;
    let read = scene.read(&shown_at(rec(2), &theirs), &[]).await;
    assert!(read.told() == (200, "", &theirs[..]), "who has shown all bytes reads them");
    Ok(())
}

async fn a_picture_that_is_not_made_is_named(scene: Scene) -> TestResult {
    let place = scene.shown(&photo(1_000, 7)).await?;
    for size in ["thumb", "screen"] {
        let read = scene.read(&format!("{place}?size={size}"), &[]).await;
        assert!(read.text().1.contains("/problems/not-rendered"), "{:?}", read.text());
        assert_eq!(read.status, 404);
        assert!(!read.header("retry-after").is_empty());
    }
    for query in ["size=huge", "size=", "width=1"] {
        let read = scene.read(&format!("{place}?{query}"), &[]).await;
        assert_eq!(read.status, 400, "{query}");
    }
    Ok(())
}

async fn what_is_damaged_is_never_whole(scene: Scene) -> TestResult {
    for bytes in [photo(1_000, 8), photo(512 * 1024, 9), photo(2 * MIB, 10)] {
        let place = scene.shown(&bytes).await?;
        let home = scene.blob(&bytes).await?.ok_or("no blob")?.home;
        let part = scene.row(&home.to_string()).await?.1.remove(0);
        let mut damaged = bytes.clone();
        *damaged.last_mut().ok_or("no bytes")? ^= 1;
        let damaged = PutPayload::from(damaged);
        scene.world.objects.put(&Path::from(part.key), damaged).await?;
        let read = scene.read(&place, &[]).await;
        assert!(read.status == 410 || read.body.is_none(), "{} bytes came whole", bytes.len());
    }
    Ok(())
}

async fn what_is_gone_is_told_so(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 11);
    let place = scene.shown(&bytes).await?;
    for key in scene.objects().await? {
        scene.world.objects.delete(&Path::from(key)).await?;
    }
    let read = scene.read(&place, &[]).await;
    assert_eq!(read.status, 410);
    assert!(read.text().1.contains("/problems/media-lost"));
    Ok(())
}
