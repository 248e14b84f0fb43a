//! Effective time: nothing that a clock says is refused, and nothing leaves the bounds.

use proptest::prelude::*;
use sync_protocol::clock::{Authored, ClockReading, Instant, UnixMillis, effective_time};

proptest! {
    #[test]
    fn a_stamp_lies_between_enrolment_and_receipt(
        at in any::<i64>(),
        mono in proptest::option::of(any::<i64>()),
        boot in proptest::option::of("[ab]"),
        now in any::<i64>(),
        request_mono in any::<i64>(),
        enrolled in any::<i64>(),
        received in any::<i64>(),
    ) {
        let (enrolled, received) = (enrolled.min(received), enrolled.max(received));
        let clock = ClockReading { now: Instant(UnixMillis(now)), mono: request_mono, boot: "a".into() };
        let authored = Authored { at: UnixMillis(at), mono, boot: boot.as_deref() };
        let t_eff = effective_time(authored, &clock, UnixMillis(enrolled), UnixMillis(received));
        prop_assert!((enrolled..=received).contains(&t_eff.0));
    }

    #[test]
    fn a_wrong_wall_clock_does_not_move_what_the_steady_clock_knows(
        offset in -172_800_000..172_800_000_i64,
        ago in 0..1_000_000_i64,
    ) {
        let received = UnixMillis(1_800_000_000_000);
        let clock = ClockReading { now: Instant(received.plus(offset)), mono: 2_000_000, boot: "a".into() };
        let authored = Authored { at: UnixMillis(0), mono: Some(2_000_000 - ago), boot: Some("a") };
        prop_assert_eq!(effective_time(authored, &clock, UnixMillis(0), received), received.plus(-ago));
        let without = Authored { at: received.plus(offset - ago), mono: None, boot: None };
        prop_assert_eq!(effective_time(without, &clock, UnixMillis(0), received), received.plus(-ago));
    }

    #[test]
    fn an_instant_is_read_as_it_was_written(millis in -62_135_596_800_000..253_402_207_200_999_i64) {
        let text = UnixMillis(millis).to_string();
        prop_assert_eq!(UnixMillis::parse(&text), Some(UnixMillis(millis)), "{}", text);
    }
}
