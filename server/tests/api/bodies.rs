//! Bodies at and beyond their bounds.

use crate::support::{Answer, TestResult, World};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use std::io::Write as _;

async fn send(world: &World, encoding: Option<&str>, media: &str, body: Vec<u8>) -> Answer {
    let mut request = Request::post("/v1/token").header(header::CONTENT_TYPE, media);
    if let Some(encoding) = encoding {
        request = request.header(header::CONTENT_ENCODING, encoding);
    }
    world.send(request.body(Body::from(body)).expect("a request")).await
}

async fn plain(world: &World, body: impl Into<Vec<u8>>) -> Answer {
    send(world, None, "application/json", body.into()).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

#[tokio::test]
async fn what_is_not_json_of_the_call_is_named() -> TestResult {
    let world = World::new().await?;
    for (body, told) in [
        (&b""[..], "not JSON"),
        (b"{", "not JSON"),
        (b"nonsense", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (br#"{"assertion":"a","assertion":"b"}"#, "`assertion` is named twice"),
        (br#"{"assertion":"a","extra":1}"#, "`extra` is not known"),
        (b"{}", "`assertion` is missing"),
        (br#"{"assertion":7}"#, "not of its form"),
        (b"[]", "not of its form"),
        (br#"{"assertion":"a"} {}"#, "not JSON"),
    ] {
        let answer = plain(&world, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert_eq!(answer.problem(), "bad-body");
        assert!(answer.str("detail").contains(told), "{told}: {}", answer.text);
    }
    Ok(())
}

#[tokio::test]
async fn depth_has_two_sides() -> TestResult {
    let world = World::new().await?;
    let nested = |depth: usize| {
        format!(r#"{{"assertion":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    let inside = plain(&world, nested(32)).await;
    assert!(inside.str("detail").contains("not of its form"), "{}", inside.text);
    let beyond = plain(&world, nested(33)).await;
    assert!(beyond.str("detail").contains("nested too deeply"), "{}", beyond.text);
    let far = plain(&world, "[".repeat(60_000)).await;
    assert_eq!(far.status, StatusCode::BAD_REQUEST, "{}", far.text);
    Ok(())
}

#[tokio::test]
async fn size_has_two_sides() -> TestResult {
    let world = World::new().await?;
    let filled = |bytes: usize| format!(r#"{{"assertion":"{}"}}"#, "a".repeat(bytes - 16));
    assert_eq!(plain(&world, filled(64 * 1024)).await.status, StatusCode::UNAUTHORIZED);
    let beyond = plain(&world, filled(64 * 1024 + 1)).await;
    assert_eq!((beyond.status.as_u16(), beyond.problem().as_str()), (413, "too-large"));
    assert_eq!(beyond.json().pointer("/limits/max_body"), Some(&serde_json::json!(65_536)));
    let chunked = Body::from_stream(futures_util::stream::iter(
        (0..70).map(|_| Ok::<_, std::convert::Infallible>(vec![b' '; 1024])),
    ));
    let request = Request::post("/v1/token").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(world.send(request.body(chunked)?).await.problem(), "too-large");
    Ok(())
}

#[tokio::test]
async fn bombs_are_stopped_while_they_inflate() -> TestResult {
    let world = World::new().await?;
    let zeros = vec![b' '; 32 * 1024 * 1024];
    let zstd = zstd::stream::encode_all(zeros.as_slice(), 3)?;
    for (encoding, body) in [("gzip", gzip(&zeros)), ("zstd", zstd)] {
        assert!(body.len() < 64 * 1024, "{encoding}: {}", body.len());
        let answer = send(&world, Some(encoding), "application/json", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (413, "too-large"),
            "{encoding}"
        );
    }
    let nested = gzip(&gzip(br#"{"assertion":"a"}"#));
    let answer = send(&world, Some("gzip, gzip"), "application/json", nested).await;
    assert_eq!(answer.problem(), "unsupported-encoding");
    Ok(())
}

#[tokio::test]
async fn encodings_are_read_and_others_named() -> TestResult {
    let world = World::new().await?;
    let body = br#"{"assertion":"a"}"#;
    let zstd = zstd::stream::encode_all(&body[..], 3)?;
    for (encoding, bytes) in [("gzip", gzip(body)), ("zstd", zstd), ("identity", body.to_vec())] {
        let answer = send(&world, Some(encoding), "application/json; charset=utf-8", bytes).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{encoding}: it was read");
    }
    for encoding in ["br", "deflate", "compress", "gzip;q=1"] {
        let answer = send(&world, Some(encoding), "application/json", body.to_vec()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (415, "unsupported-encoding")
        );
    }
    let damaged = send(&world, Some("gzip"), "application/json", body.to_vec()).await;
    assert!(damaged.str("detail").contains("damaged"), "{}", damaged.text);
    for media in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"] {
        let answer = send(&world, None, media, body.to_vec()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (415, "unsupported-media-type")
        );
    }
    Ok(())
}
