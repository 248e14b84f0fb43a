//! Finds a My Number (個人番号), which no record of the field may hold.

/// The digits of a My Number, its check digit last.
const DIGITS: usize = 12;
/// The digits of a group where it is written in three.
const GROUP: usize = 4;

/// Whether a text holds twelve digits that can be a My Number: their check digit fits.
///
/// The digits may be full-width and stand in three groups of four; twelve digits inside a longer run are none.
pub fn holds_my_number(text: &str) -> bool {
    runs(text).iter().any(|groups| {
        groups.windows(DIGITS / GROUP).any(|three| {
            three.iter().all(|group| group.len() == GROUP) && is_my_number(&three.concat())
        }) || groups.iter().any(|group| is_my_number(group))
    })
}

/// The runs of digit groups of a text; the groups of a run are parted by one space or hyphen each.
fn runs(text: &str) -> Vec<Vec<Vec<u32>>> {
    let mut runs: Vec<Vec<Vec<u32>>> = vec![vec![Vec::new()]];
    for c in text.chars() {
        let Some(run) = runs.last_mut() else { break };
        match (digit(c), run.last_mut()) {
            (Some(digit), Some(group)) => group.push(digit),
            (None, Some(group)) if !group.is_empty() && parts_groups(c) => run.push(Vec::new()),
            _ => runs.push(vec![Vec::new()]),
        }
    }
    runs
}

fn digit(c: char) -> Option<u32> {
    let narrow = match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0'))?,
        other => other,
    };
    narrow.to_digit(10)
}

const fn parts_groups(c: char) -> bool {
    matches!(c, ' ' | '\u{3000}' | '-' | '－' | '‐' | '−' | 'ー')
}

/// Σ Pn·Qn over the eleven digits left of the check digit, n from the right, Qn = n+1 for n ≤ 6 and n−5 above;
/// the check digit is 0 when Σ mod 11 ≤ 1, else 11 less the remainder.
fn is_my_number(digits: &[u32]) -> bool {
    let Some((check, rest)) = digits.split_last().filter(|_| digits.len() == DIGITS) else {
        return false;
    };
    let weights = (2..=7).chain(2..=6);
    let sum: u32 = rest.iter().rev().zip(weights).map(|(digit, weight)| digit * weight).sum();
    let expected = match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    *check == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12345678901 has Σ = 1·6+2·5+3·4+4·3+5·2+6·7+7·6+8·5+9·4+0·3+1·2 = 212, 212 mod 11 = 3, check digit 8.
    #[test]
    fn the_check_digit_decides() {
        assert!(holds_my_number("番号は123456789018です"));
        for check in [0, 1, 2, 3, 4, 5, 6, 7, 9] {
            assert!(!holds_my_number(&format!("12345678901{check}")), "{check}");
        }
    }

    #[test]
    fn a_remainder_of_none_or_one_has_the_check_digit_nought() {
        assert!(holds_my_number("000000000000"));
        assert!(holds_my_number("000000000060"), "Σ = 12, remainder 1");
        assert!(!holds_my_number("000000000061"));
    }

    #[test]
    fn other_ways_of_writing_are_found() {
        for text in [
            "１２３４５６７８９０１８",
            "1234 5678 9018",
            "1234-5678-9018",
            "0166 1234　5678　9018",
        ] {
            assert!(holds_my_number(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in
            ["", "1234567890188", "0166-00-1234", "12345678901", "1234 56789018", "1234--5678-9018"]
        {
            assert!(!holds_my_number(text), "{text}");
        }
    }
}
