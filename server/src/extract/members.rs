//! Members that several bodies and queries share, with their bounds.

use crate::problem::ApiError;
use sync_protocol::change::WHY_BYTES_MAX;
use sync_protocol::id::is_segment;

/// The most rows of one page.
pub const PAGE_ROWS_MAX: u32 = 200;
/// The rows of a page unless the caller asks for another number.
pub const PAGE_ROWS_DEFAULT: u32 = 50;

/// The rows of a page, by the parameter `limit`.
pub fn page_rows(limit: Option<u32>) -> Result<u32, ApiError> {
    match limit {
        None => Ok(PAGE_ROWS_DEFAULT),
        Some(rows) if (1..=PAGE_ROWS_MAX).contains(&rows) => Ok(rows),
        Some(_) => Err(ApiError::bad_parameter("limit", format!("1 to {PAGE_ROWS_MAX}"))),
    }
}

/// A reason that says something, by the member `why`.
pub fn reason(why: String) -> Result<String, ApiError> {
    if why.trim().is_empty() || why.len() > WHY_BYTES_MAX || why.contains('\0') {
        return Err(ApiError::bad_body(format!(
            "`why` is 1 to {WHY_BYTES_MAX} bytes, not blank and without U+0000"
        )));
    }
    Ok(why)
}

/// A word to look for, by this parameter.
pub fn word(parameter: &'static str, word: Option<String>) -> Result<Option<String>, ApiError> {
    match word {
        Some(word) if !is_segment(&word) => {
            Err(ApiError::bad_parameter(parameter, "1 to 64 of A-Z a-z 0-9 _ -"))
        }
        word => Ok(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_200_rows() {
        assert_eq!(page_rows(None).unwrap(), PAGE_ROWS_DEFAULT);
        for (asked, taken) in
            [(0, false), (1, true), (PAGE_ROWS_MAX, true), (PAGE_ROWS_MAX + 1, false)]
        {
            assert_eq!(page_rows(Some(asked)).is_ok(), taken, "{asked}");
        }
    }

    #[test]
    fn a_reason_says_something_within_its_bound() {
        for (why, taken) in [
            (String::new(), false),
            (" \n".to_owned(), false),
            ("a\0b".to_owned(), false),
            ("a".repeat(WHY_BYTES_MAX), true),
            ("a".repeat(WHY_BYTES_MAX + 1), false),
        ] {
            assert_eq!(reason(why.clone()).is_ok(), taken, "{} bytes", why.len());
        }
    }
}
