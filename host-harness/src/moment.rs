//! Moments as RFC 3339 has them, in UTC.

use std::time::Duration;

use back_to_origin::http::date;

/// A moment to the second, by its seconds since 1970.
pub(crate) fn in_seconds(seconds: u64) -> String {
    format!("{}Z", text(seconds))
}

/// A moment to the millisecond, by the time since 1970.
pub(crate) fn in_millis(since: Duration) -> String {
    format!("{}.{:03}Z", text(since.as_secs()), since.subsec_millis())
}

fn text(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date::civil(i64::try_from(days).unwrap_or_default());
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_by_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_735_689_599_007, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(in_millis(Duration::from_millis(millis)), text);
        }
        assert_eq!(in_seconds(1_700_000_000), "2023-11-14T22:13:20Z");
        // What a server says of a time may be anything.
        assert!(in_millis(Duration::from_millis(u64::MAX)).ends_with('Z'));
    }
}
