//! The demo clock: the fixtures say "twelve days ago", the day on which they are read says when that was.

use anyhow::{Context as _, Result, bail};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use sync_protocol::clock::UnixMillis;

/// The first month of a fiscal year (年度).
const FISCAL_YEAR_MONTH: i8 = 4;

/// The day that the city stands in, in its own time zone.
#[derive(Clone, Debug)]
pub struct DemoClock {
    today: Date,
    zone: TimeZone,
}

impl DemoClock {
    /// The day of `now` in `zone`.
    pub fn new(now: UnixMillis, zone: &str) -> Result<Self> {
        let zone = TimeZone::get(zone).with_context(|| format!("no time zone {zone}"))?;
        let today = Timestamp::from_millisecond(now.0)?.to_zoned(zone.clone()).date();
        Ok(Self { today, zone })
    }

    /// The day itself.
    pub const fn today(&self) -> Date {
        self.today
    }

    /// The year in which the fiscal year began.
    pub fn fiscal_year(&self) -> i16 {
        self.today.year() - i16::from(self.today.month() < FISCAL_YEAR_MONTH)
    }

    /// Puts the dates in place of every `@…` inside a value; everything else stays as it is.
    ///
    /// | written | becomes |
    /// |---|---|
    /// | `@d-12`, `@d+3T09:30` | the day twelve days ago; the instant in three days at 9:30 |
    /// | `@y-81-05-12` | 12 May, 81 calendar years ago |
    /// | `@fy`, `@fy-1` | the fiscal year as a number |
    /// | `@fy+1-04-01T00:00` | midnight of the next 1 April |
    /// | `@m-1` | last month, `YYYY-MM` |
    pub fn place(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) if text.starts_with('@') => {
                self.token(text).with_context(|| format!("the date {text}"))?
            }
            Value::Array(items) => {
                items.iter().map(|item| self.place(item)).collect::<Result<_>>()?
            }
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| Ok((name.clone(), self.place(member)?)))
                .collect::<Result<_>>()?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        })
    }

    /// The instant that an `@…` with a time of day names.
    pub fn instant(&self, token: &str) -> Result<UnixMillis> {
        let placed = self.token(token)?;
        let text = placed.as_str().unwrap_or_default();
        UnixMillis::parse(text).with_context(|| format!("{token} has no time of day"))
    }

    fn token(&self, token: &str) -> Result<Value> {
        let (day, time) = match token.split_once('T') {
            Some((day, time)) => (day, Some(time.parse::<Time>()?)),
            None => (token, None),
        };
        let date = if let Some(days) = day.strip_prefix("@d") {
            self.today.checked_add(days.parse::<i64>()?.days())?
        } else if let Some(rest) = day.strip_prefix("@fy") {
            let (offset, month_day) = offset(rest)?;
            let year = self.fiscal_year() + offset;
            let Some(month_day) = month_day else { return Ok(Value::from(year)) };
            let date = date(year, month_day)?;
            if date.month() < FISCAL_YEAR_MONTH { date.checked_add(1.year())? } else { date }
        } else if let Some(rest) = day.strip_prefix("@y") {
            let (offset, month_day) = offset(rest)?;
            date(self.today.year() + offset, month_day.context("a month and a day are missing")?)?
        } else if let Some(months) = day.strip_prefix("@m") {
            let month = self.today.first_of_month().checked_add(months.parse::<i64>()?.months())?;
            return Ok(Value::from(month.strftime("%Y-%m").to_string()));
        } else {
            bail!("it begins with none of @d @y @fy @m");
        };
        Ok(Value::from(match time {
            None => date.to_string(),
            Some(time) => self.utc(date.to_datetime(time))?.to_string(),
        }))
    }

    fn utc(&self, local: DateTime) -> Result<UnixMillis> {
        Ok(UnixMillis(self.zone.to_timestamp(local)?.as_millisecond()))
    }
}

/// Reads `+1-04-01` as (1, "04-01"), `-81-05-12` as (-81, "05-12"), `-1` as (-1, none) and nothing as (0, none).
fn offset(text: &str) -> Result<(i16, Option<&str>)> {
    let day_at = text.len().checked_sub("-04-01".len()).filter(|_| text.matches('-').count() >= 2);
    let (offset, month_day) = match day_at.and_then(|at| text.split_at_checked(at)) {
        Some((offset, day)) => (offset, Some(day.trim_start_matches('-'))),
        None => (text, None),
    };
    Ok((if offset.is_empty() { 0 } else { offset.parse()? }, month_day))
}

fn date(year: i16, month_day: &str) -> Result<Date> {
    Ok(format!("{year:04}-{month_day}").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(now: &str, token: &str) -> Value {
        let clock = DemoClock::new(UnixMillis::parse(now).unwrap(), "Asia/Tokyo").unwrap();
        clock.place(&Value::from(token)).unwrap()
    }

    #[test]
    fn every_way_of_writing_a_date_is_placed() {
        let cases = [
            ("@d+0", "2026-11-24"),
            ("@d-24", "2026-10-31"),
            ("@d-1T09:30", "2026-11-23T00:30:00.000Z"),
            ("@y-81-05-12", "1945-05-12"),
            ("@fy-04-01", "2026-04-01"),
            ("@fy-03-31", "2027-03-31"),
            ("@fy+1-04-01T00:00", "2027-03-31T15:00:00.000Z"),
            ("@m-1", "2026-10"),
        ];
        for (token, expected) in cases {
            assert_eq!(placed("2026-11-23T15:00:00.000Z", token), expected, "{token}");
        }
        assert_eq!(placed("2026-11-23T15:00:00.000Z", "@fy"), 2026);
    }

    #[test]
    fn a_fiscal_year_ends_on_31_march() {
        assert_eq!(placed("2027-03-31T14:59:59.000Z", "@fy"), 2026);
        assert_eq!(placed("2027-03-31T15:00:00.000Z", "@fy"), 2027);
        assert_eq!(placed("2027-01-10T00:00:00.000Z", "@fy+1-04-01"), "2027-04-01");
    }

    #[test]
    fn a_date_that_is_none_is_named() {
        let clock = DemoClock::new(UnixMillis(0), "Asia/Tokyo").unwrap();
        for wrong in ["@d", "@x-1", "@y-1", "@d-1T25:00", "@fy-13-01"] {
            let error = clock.place(&Value::from(wrong)).expect_err(wrong);
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }
}
