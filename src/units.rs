//! Figures as people read them, in few columns.

/// Seconds of the longer units.
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A count in at most four columns: `999`, `1.2k`, `12k`, `1.2M`. Cut off and never rounded up: what has not reached
/// 1,000 does not look as if it had.
pub fn count(count: u64) -> String {
    let (mut unit, mut name) = (1, "");
    for next in ["k", "M", "G", "T", "P", "E"] {
        if count / unit < 1_000 {
            break;
        }
        (unit, name) = (unit * 1_000, next);
    }
    match (count / unit, count % unit / (unit / 10).max(1)) {
        (whole @ 0..10, tenths) if unit > 1 => format!("{whole}.{tenths}{name}"),
        (whole, _) => format!("{whole}{name}"),
    }
}

/// Something a second: with a decimal where it is small.
pub fn rate(per_second: f64) -> String {
    match per_second {
        none if none.is_nan() || none < 0.05 => "0".to_owned(),
        small if small < 9.95 => format!("{small:.1}"),
        // Saturates, where somebody claims more than there is.
        many => count(many.round() as u64),
    }
}

/// A count with its thousands set apart: `12,345`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let apart = |(place, digit): (usize, char)| {
        let comma = place > 0 && (digits.len() - place).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(apart).collect()
}

/// Microseconds in the unit that suits them, in at most five columns: `12µs`, `1.2ms`, `12s`. `micro` is how the
/// terminal writes the first of them.
pub fn micros(micros: u64, micro: &str) -> String {
    let tenths = |value: u64, unit: u64, name: &str| match (value / unit, value % unit / (unit / 10)) {
        (whole @ 0..10, tenths) => format!("{whole}.{tenths}{name}"),
        (whole, _) => format!("{whole}{name}"),
    };
    match micros {
        0..1_000 => format!("{micros}{micro}"),
        1_000..1_000_000 => tenths(micros, 1_000, "ms"),
        1_000_000..60_000_000 => tenths(micros, 1_000_000, "s"),
        longer => seconds(longer / 1_000_000),
    }
}

/// Seconds in the two units that suit them: `45s`, `1m12s`, `2h05m`, `3d04h`.
pub fn seconds(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m{:02}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h{:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => format!("{}d{:02}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// A share of 1 in whole percent.
pub fn percent(share: f64) -> String {
    format!("{:.0}%", share.clamp(0.0, 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_four_columns_and_are_never_rounded_up() {
        let written = |counts: &[u64]| counts.iter().map(|value| count(*value)).collect::<Vec<_>>();
        assert_eq!(written(&[0, 7, 999, 1_000, 1_299, 9_999]), ["0", "7", "999", "1.0k", "1.2k", "9.9k"]);
        assert_eq!(written(&[10_000, 999_999, 1_000_000, 16_384_000]), ["10k", "999k", "1.0M", "16M"]);
        assert_eq!(count(u64::MAX), "18E");
    }

    #[test]
    fn rates_have_a_decimal_while_they_are_small() {
        let written = |rates: &[f64]| rates.iter().map(|value| rate(*value)).collect::<Vec<_>>();
        assert_eq!(written(&[0.0, 0.04, 0.5, 9.94, 9.96, 1_250.0]), ["0", "0", "0.5", "9.9", "10", "1.2k"]);
        assert_eq!(written(&[f64::NAN, -1.0, f64::INFINITY]), ["0", "0", "18E"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 12_345, 1_234_567].map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn times_are_in_the_unit_that_suits_them() {
        let written = |times: &[u64]| times.iter().map(|value| micros(*value, "µs")).collect::<Vec<_>>();
        assert_eq!(
            written(&[0, 999, 1_000, 1_250, 10_500, 999_999]),
            ["0µs", "999µs", "1.0ms", "1.2ms", "10ms", "999ms"]
        );
        assert_eq!(written(&[1_000_000, 12_000_000, 90_000_000]), ["1.0s", "12s", "1m30s"]);
        assert_eq!(
            [0, 59, 60, 72, 3_600, 7_500, 273_600].map(seconds),
            ["0s", "59s", "1m00s", "1m12s", "1h00m", "2h05m", "3d04h"]
        );
    }

    #[test]
    fn shares_are_whole_percents_from_none_to_all() {
        assert_eq!([0.0, 0.004, 0.126, 1.0, 1.5].map(percent), ["0%", "0%", "13%", "100%", "100%"]);
    }
}
