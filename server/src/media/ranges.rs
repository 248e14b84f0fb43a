//! Which bytes of a representation a conditional or partial GET asks for.

use axum::http::{HeaderMap, HeaderValue, header};
use std::ops::Range;

/// What a GET asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Everything.
    Whole,
    /// One range.
    Part(Range<u64>),
    /// A range beyond the end.
    Beyond,
    /// Nothing: the caller has it.
    NotModified,
}

/// Reads the conditions and the range. What is not understood is ignored, as is a request for several ranges.
pub fn asked(headers: &HeaderMap, etag: &str, bytes: u64) -> Asked {
    let text = |name| headers.get(name).map(HeaderValue::as_bytes);
    if text(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, etag)) {
        return Asked::NotModified;
    }
    let Some(range) = text(header::RANGE) else { return Asked::Whole };
    // Of a validator that is not exactly ours nothing is known: the whole is right in any case.
    if text(header::IF_RANGE).is_some_and(|tag| tag != etag.as_bytes()) {
        return Asked::Whole;
    }
    std::str::from_utf8(range).ok().and_then(|text| one(text, bytes)).unwrap_or(Asked::Whole)
}

fn names(tags: &[u8], etag: &str) -> bool {
    let tags = String::from_utf8_lossy(tags);
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// One range of a `Range: bytes=…`; `None` for anything else.
fn one(text: &str, bytes: u64) -> Option<Asked> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| -> Option<Option<u64>> {
        if text.is_empty() {
            return Some(None);
        }
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
    };
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        (None, Some(0)) => Some(Asked::Beyond),
        (None, Some(suffix)) => Some(Asked::Part(bytes.saturating_sub(suffix)..bytes)),
        (Some(first), _) if first >= bytes => Some(Asked::Beyond),
        (Some(first), last) => {
            let end = last.map_or(bytes, |last| last.saturating_add(1).min(bytes));
            Some(Asked::Part(first..end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn of(lines: &[(&'static str, &'static str)]) -> Asked {
        let headers = lines.iter().map(|(name, value)| {
            let name = name.parse().expect("a name");
            (name, HeaderValue::from_static(value))
        });
        asked(&headers.collect(), TAG, 100)
    }

    #[test]
    fn one_range_is_read_and_what_is_not_understood_is_ignored() {
        for (range, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=10-19", Asked::Part(10..20)),
            ("bytes=99-", Asked::Part(99..100)),
            ("bytes=90-1000", Asked::Part(90..100)),
            ("bytes=0-99999999999999999999999", Asked::Part(0..100)),
            ("bytes=-1", Asked::Part(99..100)),
            ("bytes=-100", Asked::Part(0..100)),
            ("bytes=-101", Asked::Part(0..100)),
            ("bytes=100-", Asked::Beyond),
            ("bytes=100-200", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=2-1", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(of(&[("range", range)]), expected, "{range}");
        }
    }

    #[test]
    fn conditions_go_before_the_range() {
        let range = ("range", "bytes=1-2");
        assert_eq!(of(&[range, ("if-range", "\"abc\"")]), Asked::Part(1..3));
        for other in ["\"abd\"", "W/\"abc\"", "Wed, 25 Nov 2026 00:00:00 GMT"] {
            assert_eq!(of(&[range, ("if-range", other)]), Asked::Whole, "{other}");
        }
        for tags in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(of(&[range, ("if-none-match", tags)]), Asked::NotModified, "{tags}");
        }
        assert_eq!(of(&[("if-none-match", "\"x\"")]), Asked::Whole);
    }
}
