//! Exact decimals: `-?(0|[1-9][0-9]*)(\.[0-9]+)?` as text, or integers.

use serde_json::Value;
use std::cmp::Ordering;

/// The most digits that a decimal may have to be compared and added.
const DIGITS_MAX: usize = 30;
/// The most digits after the point among them.
const SCALE_MAX: usize = 12;

/// A decimal number, exact.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self { digits: 0, scale: 0 };

    /// Reads an integer or the text of a decimal; `None` for every other value and beyond 30 digits or 12 places.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self { digits: number.as_i64()?.into(), scale: 0 }),
            Value::String(text) => Self::parse(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Reads the text of a decimal.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, plain) = text.strip_prefix('-').map_or((false, text), |plain| (true, plain));
        let (whole, places) =
            plain.split_once('.').map_or((plain, None), |(whole, places)| (whole, Some(places)));
        let leading = whole.starts_with('0') && whole.len() > 1;
        let places = places.map_or(Some(""), |places| (!places.is_empty()).then_some(places))?;
        let short = whole.len() + places.len() <= DIGITS_MAX && places.len() <= SCALE_MAX;
        let digits = whole.bytes().chain(places.bytes()).all(|b| b.is_ascii_digit());
        if whole.is_empty() || leading || !short || !digits {
            return None;
        }
        let digits: i128 = format!("{whole}{places}").parse().ok()?;
        let scale = u32::try_from(places.len()).ok()?;
        Some(Self { digits: if negative { -digits } else { digits }, scale })
    }

    /// The sum; `None` beyond what can be counted.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Self { digits: a.checked_add(b)?, scale })
    }

    /// Whether the two differ by no more than `tolerance`.
    pub fn within(self, other: Self, tolerance: Self) -> bool {
        let negated = Self { digits: -other.digits, ..other };
        self.plus(negated).is_some_and(|gap| {
            let gap = Self { digits: gap.digits.abs(), ..gap };
            matches!(gap.compare(tolerance), Some(Ordering::Less | Ordering::Equal))
        })
    }

    /// The order of two decimals; `None` beyond what can be counted.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        self.aligned(other).map(|(a, b, _)| a.cmp(&b))
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let raise = |n: Self| n.digits.checked_mul(10_i128.checked_pow(scale - n.scale)?);
        Some((raise(self)?, raise(other)?, scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_decimal_has_one_spelling() {
        for good in ["0", "-0", "10", "-1.50", "0.000000000001", "999999999999999999999999999999"] {
            assert!(Decimal::parse(good).is_some(), "{good}");
        }
        let bad = ["", "-", ".5", "1.", "01", "1e3", "+1", "１", "0.0000000000001", "1.2.3", " 1"];
        for bad in bad {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
        assert!(Decimal::of(&json!(1.5)).is_none());
    }

    #[test]
    fn decimals_are_compared_and_added_exactly() {
        let of = |text: &str| Decimal::parse(text).unwrap();
        assert_eq!(of("0.1").plus(of("0.2")).unwrap().compare(of("0.3")), Some(Ordering::Equal));
        assert_eq!(of("-10").compare(of("9.99")), Some(Ordering::Less));
        assert_eq!(Decimal::of(&json!(12)).unwrap().compare(of("12.00")), Some(Ordering::Equal));
        assert!(of("10.0").within(of("10.5"), of("0.5")));
        assert!(!of("10.0").within(of("10.51"), of("0.5")));
    }
}
