//! The time a request says it was signed at, and whether that is now.

use std::time::{Duration, SystemTime};

use s3s::dto::{Timestamp, TimestampFormat};

/// How far a request's time may be from ours, either way. Later it cannot be sent again.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Reads a date as headers have it, such as `Fri, 24 Feb 2012 06:38:30 GMT`.
pub(super) fn of_http(text: &str) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, text).ok()
}

/// Reads a date in basic form, such as `20120224T063830Z`.
pub(super) fn basic(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_right = date.len() == 8
        && time.len() == 6
        && date.bytes().chain(time.bytes()).all(|b| b.is_ascii_digit());
    if !is_right {
        return None;
    }
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
    let extended = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    Timestamp::parse(TimestampFormat::DateTime, &extended).ok()
}

/// Whether a time is close enough to ours.
pub(super) fn is_current(time: &Timestamp, now: SystemTime) -> bool {
    (Timestamp::from(now - WINDOW)..=Timestamp::from(now + WINDOW)).contains(time)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn both_forms_are_the_same_time() {
        let expected = Timestamp::from(UNIX_EPOCH + Duration::from_secs(1_330_065_510));
        assert_eq!(of_http("Fri, 24 Feb 2012 06:38:30 GMT"), Some(expected.clone()));
        assert_eq!(basic("20120224T063830Z"), Some(expected));
        for text in [
            "",
            "2012",
            "20120224T063830",
            "2012-02-24T06:38:30Z",
            "20121324T063830Z",
            "+0120224T063830Z",
        ] {
            assert_eq!(basic(text), None, "{text}");
        }
        assert_eq!(of_http("yesterday"), None);
    }

    #[test]
    fn a_quarter_of_an_hour_is_close() {
        let now = UNIX_EPOCH + Duration::from_secs(1_330_065_510);
        for (seconds, expected) in [(0, true), (900, true), (901, false)] {
            let step = Duration::from_secs(seconds);
            assert_eq!(is_current(&Timestamp::from(now - step), now), expected, "-{seconds}");
            assert_eq!(is_current(&Timestamp::from(now + step), now), expected, "+{seconds}");
        }
    }
}
