//! Instants as the protocol writes them, and the effective time of a change.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An instant in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// In stored rows it is the number; on the wire it is `YYYY-MM-DDTHH:MM:SS.mmmZ`, see [`Instant`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

/// The earliest instant that the text form can write: 0001-01-01T00:00:00.000Z.
const INSTANT_MIN: i64 = -62_135_596_800_000;
/// The latest instant that the text form can write: 9999-12-30T22:00:00.000Z, the bound of the calendar library.
const INSTANT_MAX: i64 = 253_402_207_200_000;

impl UnixMillis {
    /// This instant moved by `millis`, held inside what an `i64` can count.
    #[must_use]
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The milliseconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads the protocol's one way of writing an instant; `None` for every other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 24 {
            return None;
        }
        let read: jiff::Timestamp = text.parse().ok()?;
        let millis = Self(read.as_millisecond());
        (millis.to_string() == text).then_some(millis)
    }
}

impl fmt::Display for UnixMillis {
    /// Writes `YYYY-MM-DDTHH:MM:SS.mmmZ`; an instant outside the years 1 to 9999 is written as the nearest inside.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.0.clamp(INSTANT_MIN, INSTANT_MAX);
        let stamp = jiff::Timestamp::from_millisecond(inside).map_err(|_| fmt::Error)?;
        write!(out, "{stamp:.3}")
    }
}

/// An instant that travels as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub UnixMillis);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        UnixMillis::parse(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("an instant is YYYY-MM-DDTHH:MM:SS.mmmZ"))
    }
}

/// How far a tablet's clock may be off before its changes carry the flag `clock_suspect`: five minutes.
pub const CLOCK_SUSPECT_MS: i64 = 5 * 60 * 1000;

/// What a tablet says of its clocks when it sends a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The wall clock.
    pub now: Instant,
    /// Milliseconds of a clock that counts sleep and never jumps, since `boot`.
    pub mono: i64,
    /// Names one run of the monotonic clock.
    pub boot: String,
}

/// When a change was authored, by its author's own clocks.
#[derive(Clone, Copy, Debug)]
pub struct Authored<'a> {
    /// The wall clock.
    pub at: UnixMillis,
    /// The monotonic clock, if the author had one.
    pub mono: Option<i64>,
    /// The run of the monotonic clock.
    pub boot: Option<&'a str>,
}

/// Estimates when a change was made, in the server's time.
///
/// Within one boot the monotonic clock tells the distance; otherwise the wall clock with its offset at the request.
/// The result lies between the enrolment of the device and the receipt.
pub fn effective_time(
    authored: Authored<'_>,
    clock: &ClockReading,
    enrolled_at: UnixMillis,
    received_at: UnixMillis,
) -> UnixMillis {
    let same_boot = authored.boot == Some(clock.boot.as_str());
    let estimate = match authored.mono.filter(|_| same_boot) {
        Some(mono) => received_at.plus(mono.saturating_sub(clock.mono)),
        None => authored.at.plus(received_at.since(clock.now.0)),
    };
    estimate.min(received_at).max(enrolled_at.min(received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(now: i64, mono: i64, boot: &str) -> ClockReading {
        ClockReading { now: Instant(UnixMillis(now)), mono, boot: boot.into() }
    }

    #[test]
    fn an_instant_has_one_way_to_be_written() {
        let text = "2026-11-22T14:03:11.201Z";
        assert_eq!(UnixMillis::parse(text).unwrap().to_string(), text);
        for wrong in
            ["2026-11-22T14:03:11Z", "2026-11-22 14:03:11.201Z", "2026-11-22T14:03:11.201+"]
        {
            assert_eq!(UnixMillis::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_bounds_of_the_calendar_are_written_and_what_lies_beyond_is_no_instant() {
        for text in ["0001-01-01T00:00:00.000Z", "9999-12-30T22:00:00.000Z"] {
            assert_eq!(UnixMillis::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["0000-12-31T23:59:59.999Z", "9999-12-30T22:00:00.001Z", "9999-12-30T22:00:00.999Z"]
        {
            assert_eq!(UnixMillis::parse(text), None, "{text}");
        }
        for millis in [i64::MIN, i64::MAX] {
            assert_eq!(UnixMillis(millis).to_string().len(), 24);
        }
    }

    #[test]
    fn the_monotonic_clock_wins_within_one_boot() {
        let authored = Authored { at: UnixMillis(9_999_999), mono: Some(400), boot: Some("b") };
        let at = effective_time(authored, &clock(5, 1_000, "b"), UnixMillis(0), UnixMillis(50_000));
        assert_eq!(at, UnixMillis(49_400));
    }

    #[test]
    fn an_estimate_stays_between_enrolment_and_receipt() {
        for (at, expected) in [(i64::MIN, 100), (i64::MAX, 50_000), (20_000, 20_000)] {
            let authored = Authored { at: UnixMillis(at), mono: None, boot: None };
            let clock = clock(50_000, 0, "b");
            let at = effective_time(authored, &clock, UnixMillis(100), UnixMillis(50_000));
            assert_eq!(at, UnixMillis(expected));
        }
    }
}
