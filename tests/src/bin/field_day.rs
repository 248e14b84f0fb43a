//! `make demo`: plays the field day; with `ONCE=1` it ends after the day, otherwise the server stays up until Ctrl-C.

use anyhow::Result;
use genba_tests::field_day::{load, server::Server};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use sync_protocol::clock::UnixMillis;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("genba-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let _other = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::new();
    let t = std::time::Instant::now();
    load::load(&folder, now()).await?;
    println!("{:?}", t.elapsed());
    let server = Server::start(&folder, &client).await?;
    println!("{:?} {}", t.elapsed(), server.url);
    server.stop()?;
    Ok(ExitCode::SUCCESS)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
