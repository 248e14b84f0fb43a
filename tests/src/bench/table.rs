//! The table of the benchmark: figure, raw limit, ratio, target, verdict.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The measured value is at least this.
    AtLeast(f64),
    /// The measured value is at most this.
    AtMost(f64),
    /// The measured value is at least this part of the raw limit.
    RatioAtLeast(f64),
    /// The measured value is at most this many times the raw limit.
    RatioAtMost(f64),
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    figure: String,
    unit: &'static str,
    measured: f64,
    raw: Option<f64>,
    target: Option<Target>,
}

impl Line {
    /// A measured figure.
    pub fn new(figure: impl Into<String>, measured: f64, unit: &'static str) -> Self {
        Self { figure: figure.into(), unit, measured, raw: None, target: None }
    }

    /// Puts the raw limit of the same run beside it.
    #[must_use]
    pub const fn against(mut self, raw: f64) -> Self {
        self.raw = Some(raw);
        self
    }

    /// Says what it must reach.
    #[must_use]
    pub const fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The measured value over the raw limit.
    pub fn ratio(&self) -> Option<f64> {
        self.raw.filter(|raw| *raw > 0.0).map(|raw| self.measured / raw)
    }

    /// The value that the target looks at, the bound, and whether it is reached.
    fn judged(&self) -> Option<(f64, f64, bool)> {
        Some(match self.target? {
            Target::AtLeast(bound) => (self.measured, bound, self.measured >= bound),
            Target::AtMost(bound) => (self.measured, bound, self.measured <= bound),
            Target::RatioAtLeast(bound) => (self.ratio()?, bound, self.ratio()? >= bound),
            Target::RatioAtMost(bound) => (self.ratio()?, bound, self.ratio()? <= bound),
        })
    }

    /// Whether its target is reached; a figure without one always is.
    pub fn is_met(&self) -> bool {
        self.judged().is_none_or(|(_, _, met)| met)
    }

    fn verdict(&self) -> String {
        match self.judged() {
            None => String::new(),
            Some((_, _, true)) => "met".to_owned(),
            Some((value, bound, false)) => {
                format!("missed by {:.0} %", (value - bound).abs() / bound * 100.0)
            }
        }
    }

    fn target_words(&self) -> String {
        match self.target {
            None => String::new(),
            Some(Target::AtLeast(bound)) => format!("≥ {}", number(bound)),
            Some(Target::AtMost(bound)) => format!("≤ {}", number(bound)),
            Some(Target::RatioAtLeast(bound)) => format!("≥ {bound} × raw"),
            Some(Target::RatioAtMost(bound)) => format!("≤ {bound} × raw"),
        }
    }

    fn cells(&self) -> [String; 6] {
        [
            self.figure.clone(),
            format!("{} {}", number(self.measured), self.unit),
            self.raw.map(number).unwrap_or_default(),
            self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.target_words(),
            self.verdict(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "figure": self.figure, "unit": self.unit, "measured": self.measured, "raw": self.raw,
            "ratio": self.ratio(), "target": self.target, "met": self.judged().map(|(_, _, met)| met),
        })
    }
}

/// Three significant digits, or a whole number.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// The lines as a table of Markdown.
pub fn markdown(lines: &[Line]) -> String {
    const HEAD: [&str; 6] = ["figure", "measured", "raw limit", "ratio", "target", ""];
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(lines.iter().map(Line::cells));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _infallible = write!(out, "| {cell:width$} ");
        }
        out.push_str("|\n");
        if index == 0 {
            for width in &widths {
                let _infallible = write!(out, "|{}", "-".repeat(width + 2));
            }
            out.push_str("|\n");
        }
    }
    out
}

/// The lines as one JSON text.
pub fn json_text(lines: &[Line]) -> String {
    lines.iter().map(Line::json).collect::<Value>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_judged_by_its_value_or_by_its_ratio() {
        let rate = || Line::new("push", 4_000.0, "/s").against(10_000.0);
        assert!(rate().target(Target::RatioAtLeast(0.35)).is_met());
        let slow = rate().target(Target::AtLeast(8_000.0));
        assert!(!slow.is_met());
        assert_eq!(slow.verdict(), "missed by 50 %");
        assert!(!rate().target(Target::RatioAtMost(0.3)).is_met());
        assert!(
            markdown(&[slow])
                .contains("| push   | 4000 /s  | 10000     | 0.40  | ≥ 8000 | missed by 50 % |")
        );
    }
}
