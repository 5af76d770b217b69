//! Dates as text: RFC 3339, and its usual short forms (a blank for the `T`, no zone, which means
//! UTC, no seconds, a day alone).

/// Microseconds since 1970-01-01T00:00:00Z; `None` for what is no date.
pub fn parse_date(text: &str) -> Option<i64> {
    let (day, rest) = match text.split_at_checked(10) {
        Some((day, rest)) => (parse_day(day)?, rest),
        None => return None,
    };
    let time = match rest.strip_prefix(['T', 't', ' ']) {
        Some(time) => time,
        None if rest.is_empty() => return micros(day, 0, 0),
        None => return None,
    };
    let at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(at);
    micros(day, parse_clock(clock)?, parse_zone(zone)?)
}

fn micros(day: i64, clock: i64, zone_minutes: i64) -> Option<i64> {
    let days = day.checked_mul(86_400_000_000)?;
    days.checked_add(clock)?
        .checked_sub(zone_minutes * 60_000_000)
}

/// So many digits and no more.
fn digits(text: &str, count: usize) -> Option<i64> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| right)
}

/// Days since 1970-01-01 (H. Hinnant's `days_from_civil`).
fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (
        digits(parts.next()?, 4)?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Microseconds of `hh:mm`, `hh:mm:ss` or `hh:mm:ss.ffffff`; a leap second is the next minute.
fn parse_clock(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = match parts.next() {
        Some(second) => digits(second, 2)?,
        None if whole.len() == text.len() => 0,
        None => return None,
    };
    let finer = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 || !finer {
        return None;
    }
    let known = fraction.get(..fraction.len().min(6))?;
    let width = u32::try_from(known.len()).ok()?;
    let micros = digits(known, known.len())? * 10_i64.pow(6 - width);
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// Minutes that a zone's clocks are ahead.
fn parse_zone(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (digits(hours, 2)?, digits(minutes, 2)?),
        None if rest.len() == 4 => (digits(rest.get(..2)?, 2)?, digits(rest.get(2..)?, 2)?),
        None => (digits(rest, 2)?, 0),
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_date_is_its_moment() {
        let cases = [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-02 00:00:01", 86_401_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000),
            ("2000-02-29T12:00Z", 951_825_600_000_000),
            ("2023-02-08T10:49:00+01:30", 1_675_847_940_000_000),
            ("2023-02-08T10:49:00-0130", 1_675_858_740_000_000),
            ("2023-02-08T10:49:00.123456789z", 1_675_853_340_123_456),
            ("0001-01-01", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ];
        for (text, micros) in cases {
            assert_eq!(parse_date(text), Some(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "x",
            "2023",
            "2023-02",
            "2023-02-29",
            "2023-13-01",
            "2023-00-01",
            "2023-01-00",
            "2023-1-01",
            "2023-01-01T",
            "2023-01-01T24:00",
            "2023-01-01T10",
            "2023-01-01T10:60",
            "2023-01-01T10:00:61",
            "2023-01-01T10:00:00.",
            "2023-01-01T10:00:00.x",
            "2023-01-01T10:00:00+1",
            "2023-01-01T10:00:00+25:00",
            "2023-01-01X10:00",
            "2023-01-01T10:00.5",
            "\u{661}\u{661}\u{661}\u{661}-01-01",
            "2023-01-0ä",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
