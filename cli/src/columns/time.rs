//! Days, times and moments as a table counts them, as text of RFC 3339. Moments are told in UTC.

use anyhow::{Result, ensure};

const DAY_S: i64 = 86_400;

/// Days since 1970-01-01, as `2024-05-01` (H. Hinnant's `civil_from_days`).
pub(super) fn day(days: i64) -> Result<String> {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months are counted from March on, so that a leap day ends a year.
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    ensure!(
        (0..=9_999).contains(&year),
        "a date of the year {year}: those of 0 to 9999 can be told"
    );
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// Parts of a second since midnight, of which one has `10^digits`, as `10:00:00`.
pub(super) fn clock(parts: i64, digits: u32) -> Result<String> {
    let second = 10_i64.pow(digits);
    ensure!(
        (0..DAY_S * second).contains(&parts),
        "a time that no day has"
    );
    let (s, fraction) = (parts / second, parts % second);
    let whole = format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60);
    if fraction == 0 {
        return Ok(whole);
    }
    let width = usize::try_from(digits)?;
    let fraction = format!("{fraction:0width$}");
    Ok(format!("{whole}.{}", fraction.trim_end_matches('0')))
}

/// Parts of a second since 1970-01-01T00:00:00Z, as `2024-05-01T10:00:00Z`.
pub(super) fn moment(parts: i64, digits: u32) -> Result<String> {
    let of_day = DAY_S * 10_i64.pow(digits);
    let day = day(parts.div_euclid(of_day))?;
    let clock = clock(parts.rem_euclid(of_day), digits)?;
    Ok(format!("{day}T{clock}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_other_calendars_tell_them() {
        // From another implementation: python3, datetime.
        for (parts, digits, due) in [
            (0, 3, "1970-01-01T00:00:00Z"),
            (1_714_557_600_000, 3, "2024-05-01T10:00:00Z"),
            (951_825_600_120_000, 6, "2000-02-29T12:00:00.12Z"),
            (-1, 9, "1969-12-31T23:59:59.999999999Z"),
            (-62_135_596_800_000, 3, "0001-01-01T00:00:00Z"),
            (253_402_300_799_999, 3, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(moment(parts, digits).unwrap(), due);
        }
        for (days, due) in [(19_844, "2024-05-01"), (-719_528, "0000-01-01")] {
            assert_eq!(day(days).unwrap(), due);
        }
        assert_eq!(clock(36_000_000_500, 6).unwrap(), "10:00:00.0005");
    }

    #[test]
    fn each_day_of_four_hundred_years_follows_the_one_before() {
        let mut before = day(-719_528).unwrap();
        for days in -719_527..-719_528 + 146_097 {
            let next = day(days).unwrap();
            assert!(next > before, "{before}, {next}");
            before = next;
        }
        assert_eq!(before, "0399-12-31");
    }

    #[test]
    fn what_no_calendar_of_four_digits_has_is_refused() {
        for days in [
            -719_529,
            2_932_897,
            i64::from(i32::MIN),
            i64::from(i32::MAX),
        ] {
            assert!(day(days).is_err(), "{days}");
        }
        for parts in [i64::MIN, i64::MAX] {
            assert!(moment(parts, 3).is_err() && clock(parts, 9).is_err());
            assert!(moment(parts, 9).is_ok());
        }
        assert!(clock(86_400_000, 3).is_err() && clock(-1, 3).is_err());
    }
}
