//! Budget periods in UTC.

use serde::{Deserialize, Serialize};
use time::{Date, Duration, Month, OffsetDateTime};

/// How often a budget starts again at zero. All boundaries are at 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Never.
    #[default]
    Total,
    /// Every day.
    Daily,
    /// Every Monday.
    Weekly,
    /// On the first of a month.
    Monthly,
    /// Every so many days, counted from 1970-01-01.
    Days(u16),
}

impl Period {
    /// Returns the start of the period that holds `now` (both in seconds since the epoch); 0 for [`Period::Total`].
    #[must_use]
    pub fn start(self, now: i64) -> i64 {
        let day = now.div_euclid(86_400);
        match self {
            Period::Total => 0,
            Period::Daily => day * 86_400,
            // 1970-01-01 was a Thursday: Monday-based weeks begin three days before it.
            Period::Weekly => ((day + 3).div_euclid(7) * 7 - 3) * 86_400,
            Period::Monthly => first_of_month(now),
            Period::Days(days) => {
                let days = i64::from(days.max(1));
                day.div_euclid(days) * days * 86_400
            }
        }
    }

    /// Returns when the period that holds `now` ends, in seconds since the epoch.
    #[must_use]
    pub fn end(self, now: i64) -> Option<i64> {
        let start = self.start(now);
        match self {
            Period::Total => None,
            Period::Daily => Some(start + 86_400),
            Period::Weekly => Some(start + 7 * 86_400),
            Period::Monthly => Some(first_of_month(start + 32 * 86_400)),
            Period::Days(days) => Some(start + i64::from(days.max(1)) * 86_400),
        }
    }
}

fn first_of_month(now: i64) -> i64 {
    let Ok(moment) = OffsetDateTime::from_unix_timestamp(now) else { return 0 };
    let date = Date::from_calendar_date(moment.year(), moment.month(), 1)
        .unwrap_or_else(|_| Date::from_calendar_date(1970, Month::January, 1).unwrap_or(Date::MIN));
    (date - Date::MIN + (Date::MIN - moment.date()) + Duration::days(now.div_euclid(86_400))).whole_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn at(text: OffsetDateTime) -> i64 {
        text.unix_timestamp()
    }

    #[test]
    fn months_begin_on_the_first() {
        let now = at(datetime!(2026-02-28 23:59:59 UTC));
        assert_eq!(Period::Monthly.start(now), at(datetime!(2026-02-01 00:00 UTC)));
        assert_eq!(Period::Monthly.end(now), Some(at(datetime!(2026-03-01 00:00 UTC))));
        let december = at(datetime!(2026-12-31 12:00 UTC));
        assert_eq!(Period::Monthly.end(december), Some(at(datetime!(2027-01-01 00:00 UTC))));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let sunday = at(datetime!(2026-11-22 23:00 UTC));
        assert_eq!(Period::Weekly.start(sunday), at(datetime!(2026-11-16 00:00 UTC)));
        let monday = at(datetime!(2026-11-23 00:00 UTC));
        assert_eq!(Period::Weekly.start(monday), monday);
    }

    #[test]
    fn total_never_ends() {
        assert_eq!((Period::Total.start(1_800_000_000), Period::Total.end(1_800_000_000)), (0, None));
    }
}
