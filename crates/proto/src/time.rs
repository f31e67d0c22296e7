//! Dates and times as XMPP writes them (XEP-0082), from and to microseconds since the epoch
//! (1970-01-01T00:00:00Z, leap seconds not counted). No clock is read here.

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Writes the `DateTime` profile in UTC, with six digits of a second unless they are zero:
/// `2026-11-22T13:08:11.000250Z`. Years before 0 and after 9999, which the profile has no form
/// for, become the nearest time that has one.
pub fn format_datetime(micros: i64) -> String {
    use std::fmt::Write as _;
    const FIRST: i64 = -62_167_219_200 * SECOND;
    const LAST: i64 = 253_402_300_800 * SECOND - 1;
    let micros = micros.clamp(FIRST, LAST);
    let (seconds, fraction) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        // Writing to a String does not fail.
        let _ = write!(text, ".{fraction:06}");
    }
    text.push('Z');
    text
}

/// Reads the `DateTime` profile: years 0000 to 9999, any number of fraction digits (those after
/// the sixth are cut off), `Z` or an offset of up to 14 hours. `24:00:00` is the next midnight, as
/// in XML Schema; leap seconds are refused, as there. Anything else is `None`.
pub fn parse_datetime(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let month = digits(skip(&mut rest, b'-')?, 2)?;
    let day = digits(skip(&mut rest, b'-')?, 2)?;
    let hour = digits(skip(&mut rest, b'T')?, 2)?;
    let minute = digits(skip(&mut rest, b':')?, 2)?;
    let second = digits(skip(&mut rest, b':')?, 2)?;
    let fraction = if rest.starts_with('.') {
        fraction(skip(&mut rest, b'.')?)?
    } else {
        0
    };
    let offset = offset(rest)?;
    let midnight = hour == 24 && minute == 0 && second == 0 && fraction == 0;
    let in_day = (hour < 24 || midnight) && minute < 60 && second < 60;
    if !in_day || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * SECOND + fraction)
}

/// Takes a number of exactly `count` digits off the front.
fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let (number, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok())?
}

/// Takes a separator off the front.
fn skip<'a, 'b>(rest: &'a mut &'b str, separator: u8) -> Option<&'a mut &'b str> {
    *rest = rest.strip_prefix(char::from(separator))?;
    Some(rest)
}

/// Takes the digits after the decimal point, as microseconds.
fn fraction(rest: &mut &str) -> Option<i64> {
    let end = rest
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    let (number, tail) = rest.split_at_checked(end)?;
    *rest = tail;
    let used = number.get(..6).unwrap_or(number);
    let missing = u32::try_from(6 - used.len()).ok()?;
    Some(used.parse::<i64>().ok()? * 10_i64.pow(missing))
}

/// Seconds ahead of UTC.
fn offset(rest: &str) -> Option<i64> {
    if rest == "Z" {
        return Some(0);
    }
    let (sign, mut rest) = match rest.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, rest.strip_prefix('-')?),
    };
    let hours = digits(&mut rest, 2)?;
    let minutes = digits(skip(&mut rest, b':')?, 2)?;
    let valid = rest.is_empty() && minutes < 60 && hours * 60 + minutes <= 14 * 60;
    valid.then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to a date of the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day comes last, in eras of 400 years, which have 146 097 days each.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date (year, month, day) of a day; the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ways() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (-14_159_025 * SECOND, "1969-07-21T02:56:15Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00Z"),
            (1_709_251_199 * SECOND, "2024-02-29T23:59:59Z"),
            (4_107_542_400 * SECOND, "2100-03-01T00:00:00Z"),
            (1_795_352_891 * SECOND + 250, "2026-11-22T13:08:11.000250Z"),
            (-62_167_219_200 * SECOND, "0000-01-01T00:00:00Z"),
            (253_402_300_799 * SECOND, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(format_datetime(micros), text);
            assert_eq!(parse_datetime(text), Some(micros), "{text}");
        }
        assert_eq!(format_datetime(i64::MAX), "9999-12-31T23:59:59.999999Z");
        assert_eq!(format_datetime(i64::MIN), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn other_spellings() {
        for (text, same) in [
            ("1969-07-20T21:56:15-05:00", "1969-07-21T02:56:15Z"),
            ("2026-01-01T00:30:00+14:00", "2025-12-31T10:30:00Z"),
            ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.100000Z"),
            (
                "2026-01-01T00:00:00.1234569Z",
                "2026-01-01T00:00:00.123456Z",
            ),
            ("2025-12-31T24:00:00Z", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                parse_datetime(text).map(format_datetime).as_deref(),
                Some(same),
                "{text}"
            );
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00z",
            "2026-01-01 00:00:00Z",
            "20260101T00:00:00",
            "2026-1-1T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "2026-01-01T24:00:01Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T23:59:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00+14:01",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+01",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00Z ",
            " 2026-01-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "-2026-01-01T00:00:00Z",
            "12026-01-01T00:00:00Z",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_datetime(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(micros in -62_167_219_200_000_000..253_402_300_800_000_000_i64) {
            prop_assert_eq!(parse_datetime(&format_datetime(micros)), Some(micros));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}", number in "[0-9TZ:.+-]{0,40}") {
            let _ = (parse_datetime(&text), parse_datetime(&number));
        }
    }
}
