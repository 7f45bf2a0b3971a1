//! Names of key files, as geth gives them: `UTC--2026-01-02T03-04-05.000000006Z--address`.

use alloy_primitives::{Address, hex};
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of a key file made at `now`.
pub(super) fn for_key(now: SystemTime, address: Address) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let nanos = since.subsec_nanos();
    let address = hex::encode(address);
    format!("UTC--{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}.{nanos:09}Z--{address}")
}

/// Year, month and day of a day counted from 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= year_length(year) {
        days -= year_length(year);
        year += 1;
    }
    let february = year_length(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn year_length(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_carry_the_utc_time_and_the_address() {
        let at = |seconds, nanos| for_key(UNIX_EPOCH + Duration::new(seconds, nanos), Address::repeat_byte(0xab));
        let address = "ab".repeat(20);
        assert_eq!(at(0, 0), format!("UTC--1970-01-01T00-00-00.000000000Z--{address}"));
        assert_eq!(at(951_782_400, 7), format!("UTC--2000-02-29T00-00-00.000000007Z--{address}"));
        assert_eq!(at(1_709_164_800, 0), format!("UTC--2024-02-29T00-00-00.000000000Z--{address}"));
        assert_eq!(at(1_767_225_599, 0), format!("UTC--2025-12-31T23-59-59.000000000Z--{address}"));
    }
}
