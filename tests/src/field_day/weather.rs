//! The network between some tablets and the server: good, or one that drops every few seconds.

use crate::link::{Conduct, Link};
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a connection lasts at most while the network is bad.
const LASTS: Duration = Duration::from_millis(1_500);
/// What it carries at most, so that it breaks as often on every machine.
const LASTS_BYTES: u64 = 400_000;
/// What it carries in a second.
const BYTES_PER_SECOND: u64 = 900_000;

/// A network on loopback.
#[derive(Debug)]
pub struct Weather {
    link: Link,
    bad: Arc<AtomicBool>,
    dropped: Arc<AtomicUsize>,
}

impl Weather {
    /// A good network to the server at `url`.
    pub async fn over(url: &str) -> Result<Self> {
        let (bad, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (asked, counted) = (Arc::clone(&bad), Arc::clone(&dropped));
        let conduct = move || {
            if !asked.load(Ordering::SeqCst) {
                return Conduct::WHOLE;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            Conduct {
                cut_after: Some(LASTS),
                cut_after_bytes: Some(LASTS_BYTES),
                bytes_per_second: Some(BYTES_PER_SECOND),
                ..Conduct::WHOLE
            }
        };
        Ok(Self { link: Link::open(url, conduct).await?, bad, dropped })
    }

    /// Where tablets reach the server.
    pub fn url(&self) -> &str {
        &self.link.url
    }

    /// From now on every connection drops.
    pub fn turns_bad(&self) {
        self.bad.store(true, Ordering::SeqCst);
    }

    /// From now on connections last.
    pub fn clears(&self) {
        self.bad.store(false, Ordering::SeqCst);
    }

    /// How many connections were made while it was bad.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}
