//! Addresses of videos that lie elsewhere: written down, checked for their host, never fetched.
//!
//! What is taken is what every reader reads alike: `https://`, a host of letters, digits and hyphens that the field
//! allows, and printable ASCII after it. A user, a port, an address of numbers and a name in other letters are refused.

/// The longest address, in bytes.
pub(super) const URL_BYTES_MAX: usize = 2_000;
/// The most hosts that a field may allow.
pub(super) const HOSTS_MAX: usize = 32;
/// The longest name of a host, in bytes, and the longest part of one.
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

const SCHEME: &str = "https://";
/// Stands before a suffix for every host below it.
const BELOW: &str = "*.";

/// Whether a text is an address on one of the allowed hosts.
pub(super) fn is_allowed(text: &str, hosts: &[String]) -> bool {
    if text.len() > URL_BYTES_MAX {
        return false;
    }
    let Some(rest) = text.strip_prefix(SCHEME) else { return false };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.to_ascii_lowercase();
    // A backslash is a slash to browsers.
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_plain && is_host(&host) && hosts.iter().any(|allowed| matches(allowed, &host))
}

fn matches(allowed: &str, host: &str) -> bool {
    match allowed.strip_prefix(BELOW) {
        Some(suffix) => host.strip_suffix(suffix).is_some_and(|below| below.ends_with('.')),
        None => host == allowed,
    }
}

/// Whether a form may allow this: a host, or `*.` and the suffix of many.
pub(super) fn is_pattern(text: &str) -> bool {
    is_host(text.strip_prefix(BELOW).unwrap_or(text))
}

/// Whether a text is the name of a host in lower case, with a dot in it; an address of numbers is none.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= HOST_BYTES_MAX
        && text.contains('.')
        && text.split('.').all(is_label)
        && last.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> bool {
        let hosts = ["video.city.example".to_owned(), "*.stream.example".to_owned()];
        is_allowed(text, &hosts)
    }

    #[test]
    fn an_address_on_an_allowed_host_is_taken() {
        for text in [
            "https://video.city.example",
            "https://video.city.example/v/1?t=10#end",
            "https://video.city.example?v=1",
            "https://VIDEO.City.example/v",
            "https://a.stream.example/v",
            "https://a.b-1.stream.example/v",
        ] {
            assert!(allowed(text), "{text}");
        }
    }

    #[test]
    fn every_other_address_is_not() {
        for text in [
            "",
            "https://",
            "http://video.city.example/v",
            "HTTPS://video.city.example/v",
            "//video.city.example/v",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https:/video.city.example/v",
            "https:///video.city.example/v",
            "https://city.example/v",
            "https://a.video.city.example/v",
            "https://stream.example/v",
            "https://.stream.example/v",
            "https://-.stream.example/v",
            "https://evilstream.example/v",
            "https://video.city.example.evil.example/v",
            "https://video.city.example.",
            "https://video.city.example:443/v",
            "https://video.city.example@evil.example/v",
            "https://user:word@video.city.example/v",
            "https://evil.example\\.stream.example/v",
            "https://evil.example%2f.stream.example/v",
            "https://evil.example/.stream.example",
            "https://evil.example#.stream.example",
            "https://video.city.example\\v",
            "https://video.city.example/v\\w",
            "https://video.city.example/a b",
            "https://video.city.example/\n",
            "https://video.city.example/動画",
            "https://vidéo.stream.example/v",
            " https://video.city.example/v",
            "https://127.0.0.1/v",
            "https://[::1]/v",
        ] {
            assert!(!allowed(text), "{text}");
        }
    }

    #[test]
    fn an_address_and_a_host_have_bounds() {
        let stem = "https://video.city.example/";
        let of = |bytes: usize| format!("{stem}{}", "a".repeat(bytes - stem.len()));
        assert!(allowed(&of(URL_BYTES_MAX)));
        assert!(!allowed(&of(URL_BYTES_MAX + 1)));
        let label = |bytes: usize| "a".repeat(bytes);
        assert!(is_pattern(&format!("{}.example", label(LABEL_BYTES_MAX))));
        assert!(!is_pattern(&format!("{}.example", label(LABEL_BYTES_MAX + 1))));
        assert!(is_host(&format!("{}{}", "a.".repeat(95), label(HOST_BYTES_MAX - 190))));
        assert!(!is_host(&format!("{}{}", "a.".repeat(96), label(HOST_BYTES_MAX - 191))));
    }

    #[test]
    fn a_form_allows_hosts_and_suffixes() {
        for text in ["video.city.example", "*.city.example", "xn--a.example", "1.example"] {
            assert!(is_pattern(text), "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*.example",
            "localhost",
            "a.*.example",
            "*a.example",
            "**.a.example",
            "Video.city.example",
            "video.city.example.",
            "video.city.example/",
            "https://video.city.example",
            "video.city.example:443",
            "10.0.0.1",
            "a..example",
            "動画.example",
        ] {
            assert!(!is_pattern(text), "{text}");
        }
    }
}
