//! Which part of a file a request wants (RFC 9110 § 14).

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From one byte to another, both included.
    Bytes {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// What is not there.
    Nothing,
}

/// Reads the value of `Range` for a file of so many bytes. What is malformed, in other units or
/// more than one range is as if it were not there (§ 14.2).
pub(super) fn part(range: Option<&str>, bytes: u64) -> Part {
    let range = range.and_then(|range| range.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let end = bytes.saturating_sub(1);
    let (first, last) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.min(end)),
        (Some(first), None) if last.is_empty() => (first, end),
        (None, Some(0)) if first.is_empty() => return Part::Nothing,
        (None, Some(count)) if first.is_empty() => (bytes.saturating_sub(count), end),
        _ => return Part::Whole,
    };
    if first >= bytes {
        return Part::Nothing;
    }
    Part::Bytes { first, last }
}

#[cfg(test)]
mod tests {
    use super::{Part, part};

    #[test]
    fn ranges_as_the_rfc_has_them() {
        let of = |first, last| Part::Bytes { first, last };
        for (range, want) in [
            ("bytes=0-499", of(0, 499)),
            ("bytes=500-999", of(500, 999)),
            ("bytes=-500", of(500, 999)),
            ("bytes=0-0", of(0, 0)),
            ("bytes=999-", of(999, 999)),
            ("bytes=0-5000", of(0, 999)),
            ("bytes=-5000", of(0, 999)),
            ("bytes=0-99999999999999999999999", of(0, 999)),
            ("bytes=1000-", Part::Nothing),
            ("bytes=99999999999999999999999-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=5-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(Some(range), 1000), want, "{range}");
        }
        assert_eq!(part(None, 1000), Part::Whole);
        assert_eq!(part(Some("bytes=0-"), 0), Part::Nothing);
    }
}
