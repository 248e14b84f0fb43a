//! Conditions over the shown values: `all any not eq in present lt le`, with `sum` as an operand.

use super::{Decimal, Values, values::RowValues, values::answered};
use crate::clock::UnixMillis;
use serde_json::Value;
use std::cmp::Ordering;

/// A condition over the shown values of a record, or of one of its rows.
///
/// Inside a row a name is a cell of it, and `../name` a field of the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Every one is true; true when there is none.
    All(Vec<Self>),
    /// One at least is true.
    Any(Vec<Self>),
    /// It is not true.
    Not(Box<Self>),
    /// The value is this one; of a list, an element is.
    Eq(String, Value),
    /// The value is one of these; of a list, an element is.
    In(String, Vec<Value>),
    /// There is an answer; of a list, an element.
    Present(String),
    /// The first is less than the second; not true when they cannot be compared.
    Lt(Operand, Operand),
    /// The first is less than the second or equal; not true when they cannot be compared.
    Le(Operand, Operand),
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The shown value of a field or a cell.
    Name(String),
    /// A number, a day or an instant.
    Literal(Value),
    /// The effective time of the record, this many minutes later.
    Now(i64),
    /// The sum of a cell over the rows of a list; a cell that is no number counts nothing.
    Sum {
        /// The list.
        list: String,
        /// The cell.
        cell: String,
    },
}

/// What names in a predicate stand for.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) values: &'a dyn Values,
    pub(super) row: Option<&'a RowValues<'a>>,
    pub(super) at: UnixMillis,
}

/// What stands before the name of a record's field inside a row.
pub(super) const RECORD: &str = "../";
/// Japan's distance from UTC, which decides the day of an instant; the country has one zone and no summer time.
const JAPAN_MS: i64 = 9 * 3_600_000;

impl Scope<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        match (self.row, name.strip_prefix(RECORD)) {
            (Some(row), None) => row.cells.get(name).copied(),
            (_, Some(name)) => self.values.field(name),
            (None, None) => self.values.field(name),
        }
    }

    fn elements(&self, name: &str) -> Vec<RowValues<'_>> {
        match (self.row, name.strip_prefix(RECORD)) {
            (Some(_), None) => Vec::new(),
            (_, Some(name)) => self.values.rows(name),
            (None, None) => self.values.rows(name),
        }
    }

    fn is_one_of(&self, name: &str, literals: &[Value]) -> bool {
        match self.value(name) {
            Some(value) => literals.contains(value),
            None => {
                self.elements(name).iter().any(|element| literals.iter().any(|l| l == element.id))
            }
        }
    }
}

impl Predicate {
    pub(super) fn holds(&self, scope: Scope<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(scope)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(scope)),
            Self::Not(part) => !part.holds(scope),
            Self::Eq(name, literal) => scope.is_one_of(name, std::slice::from_ref(literal)),
            Self::In(name, literals) => scope.is_one_of(name, literals),
            Self::Present(name) => answered(scope.value(name)) || !scope.elements(name).is_empty(),
            Self::Lt(a, b) => order(a, b, scope) == Some(Ordering::Less),
            Self::Le(a, b) => {
                matches!(order(a, b, scope), Some(Ordering::Less | Ordering::Equal))
            }
        }
    }
}

fn order(a: &Operand, b: &Operand, scope: Scope<'_>) -> Option<Ordering> {
    match (a.quantity(scope)?, b.quantity(scope)?) {
        (Quantity::Number(a), Quantity::Number(b)) => a.compare(b),
        (Quantity::Instant(a), Quantity::Instant(b)) => Some(a.cmp(&b)),
        (Quantity::Number(_), _) | (_, Quantity::Number(_)) => None,
        (a, b) => Some(a.day()?.cmp(&b.day()?)),
    }
}

pub(super) enum Quantity {
    Number(Decimal),
    Day(String),
    Instant(UnixMillis),
}

impl Quantity {
    pub(super) fn of(value: &Value) -> Option<Self> {
        if let Some(number) = Decimal::of(value) {
            return Some(Self::Number(number));
        }
        let text = value.as_str()?;
        match UnixMillis::parse(text) {
            Some(instant) => Some(Self::Instant(instant)),
            None => is_day(text).then(|| Self::Day(text.to_owned())),
        }
    }

    fn day(&self) -> Option<String> {
        match self {
            Self::Number(_) => None,
            Self::Day(day) => Some(day.clone()),
            Self::Instant(instant) => {
                Some(instant.plus(JAPAN_MS).to_string().chars().take(10).collect())
            }
        }
    }
}

/// Whether a text is a day of the calendar, `YYYY-MM-DD`.
pub(super) fn is_day(text: &str) -> bool {
    UnixMillis::parse(&format!("{text}T00:00:00.000Z")).is_some()
}

impl Operand {
    fn quantity(&self, scope: Scope<'_>) -> Option<Quantity> {
        match self {
            Self::Name(name) => Quantity::of(scope.value(name)?),
            Self::Literal(value) => Quantity::of(value),
            Self::Now(minutes) => {
                Some(Quantity::Instant(scope.at.plus(minutes.saturating_mul(60_000))))
            }
            Self::Sum { list, cell } => {
                let name = list.strip_prefix(RECORD).unwrap_or(list);
                let rows = scope.values.rows(name);
                let numbers =
                    rows.iter().filter_map(|row| Decimal::of(row.cells.get(cell.as_str())?));
                numbers.into_iter().try_fold(Decimal::ZERO, Decimal::plus).map(Quantity::Number)
            }
        }
    }
}
