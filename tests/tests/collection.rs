//! Ten thousand interleavings of collection against uploads and references: nothing that is needed is removed.

use genba_tests::collect::{Plan, Report, run};
use storage::testing::TestResult;

/// Interleavings of each of the four tests, which run side by side.
const INTERLEAVINGS: u32 = 2_500;
/// Between the seeds of two of them.
const APART: u64 = 1_000_000;

/// Plays a quarter; `COLLECT_SEED` replays the batch of a seed that a failure has named.
async fn quarter(number: u64) -> TestResult {
    let chosen = std::env::var("COLLECT_SEED").ok().and_then(|text| text.parse().ok());
    let plan = match chosen {
        Some(seed) => Plan { seed, interleavings: 1 },
        None => Plan { seed: 1 + number * APART, interleavings: INTERLEAVINGS },
    };
    let report = run(plan).await?;
    let Report { met, orders, failed, kept, sent_again, collected, wrongs } = report;
    assert_eq!(wrongs, Vec::<String>::new(), "COLLECT_SEED={}", plan.seed);
    assert!(met >= plan.interleavings);
    if chosen.is_none() {
        // A run in which little happens proves little.
        for (what, times) in [
            ("different", u32::try_from(orders)?),
            ("with a failure", failed),
            ("with a photo that stayed", kept),
            ("with a photo that came again", sent_again),
            ("with a photo that went", collected),
        ] {
            assert!(times > INTERLEAVINGS / 50, "only {times} interleavings were {what}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_order_of_steps_loses_a_photo_1() -> TestResult {
    quarter(0).await
}

#[tokio::test]
async fn no_order_of_steps_loses_a_photo_2() -> TestResult {
    quarter(1).await
}

#[tokio::test]
async fn no_order_of_steps_loses_a_photo_3() -> TestResult {
    quarter(2).await
}

#[tokio::test]
async fn no_order_of_steps_loses_a_photo_4() -> TestResult {
    quarter(3).await
}
