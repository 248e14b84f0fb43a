//! The book of the day: what is told, and whether it was so.

use anyhow::Result;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;

/// What was told so far, and what of it was not so.
#[derive(Debug, Default)]
pub struct Book {
    checked: usize,
    failed: Vec<String>,
}

impl Book {
    /// Begins a scene.
    pub fn scene(&mut self, title: &str) {
        tell(&format!("\n━━ {title}"));
    }

    /// Tells what happens, without a claim.
    pub fn say(&mut self, words: &str) {
        tell(&format!("   {words}"));
    }

    /// Tells where to look.
    pub fn look(&mut self, words: &str) {
        tell(&format!("   → {words}"));
    }

    /// Claims that `found` is `expected`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a claim is written as it reads, with values"
    )]
    pub fn claim<T: PartialEq + Debug>(&mut self, words: &str, found: T, expected: T) {
        let so = found == expected;
        self.note(words, so, || format!("expected {expected:?}, found {found:?}"));
    }

    /// Claims that something holds; `found` tells what was seen when it does not.
    pub fn holds(&mut self, words: &str, so: bool, found: impl FnOnce() -> String) {
        self.note(words, so, found);
    }

    /// Whether every claim was so; tells the result.
    pub fn close(&self) -> bool {
        let mut words =
            format!("\n{} claims checked against the server and the tablets", self.checked);
        if self.failed.is_empty() {
            words.push_str(": all of them hold.");
        } else {
            let _ = write!(words, ", {} do not hold:", self.failed.len());
            for failed in &self.failed {
                let _ = write!(words, "\n   ✗ {failed}");
            }
        }
        tell(&words);
        self.failed.is_empty()
    }

    fn note(&mut self, words: &str, so: bool, found: impl FnOnce() -> String) {
        self.checked += 1;
        if so {
            tell(&format!("   ✓ {words}"));
            return;
        }
        let found = found();
        tell(&format!("   ✗ {words}\n     {found}"));
        self.failed.push(format!("{words} ({found})"));
    }
}

/// Writes one line; a reader that went away ends nothing.
pub fn tell(words: &str) {
    let mut out = std::io::stdout().lock();
    let _gone: Result<(), std::io::Error> = writeln!(out, "{words}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_does_not_hold_is_kept_with_what_was_found() {
        let mut book = Book::default();
        book.claim("two is two", 2, 2);
        assert!(book.close());
        book.claim("two is three", 2, 3);
        assert_eq!(book.failed, ["two is three (expected 3, found 2)"]);
        assert!(!book.close());
    }
}
