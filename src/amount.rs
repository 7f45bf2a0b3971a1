//! Amounts of ether as people write them.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The units an amount may be written in, with their decimals.
const UNITS: [(&str, usize); 3] = [("gwei", 9), ("wei", 0), ("ether", 18)];

/// An amount of wei. Written as a plain number of wei, or with a unit: `1ether`, `0.5ether`, `2gwei`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wei(pub U256);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No number stands before the unit.
    #[error("\"{text}\" is not an amount; write wei, or a number with a unit as in 1ether, 0.5ether or 2gwei")]
    Malformed {
        /// What was given.
        text: String,
    },
    /// There is no part of a wei.
    #[error("\"{text}\" is not a whole number of wei; {unit} has {decimals} decimals")]
    TooPrecise {
        /// What was given.
        text: String,
        /// Its unit.
        unit: &'static str,
        /// The unit's decimals.
        decimals: usize,
    },
    /// The amount does not fit into 256 bits.
    #[error("\"{text}\" is more than 2^256 - 1 wei")]
    TooLarge {
        /// What was given.
        text: String,
    },
}

impl FromStr for Wei {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || AmountError::Malformed { text: text.to_owned() };
        let found = UNITS.iter().find_map(|(unit, decimals)| Some((text.strip_suffix(unit)?, *unit, *decimals)));
        let (number, unit, decimals) = found.unwrap_or((text, "wei", 0));
        let number = number.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = number.contains('.') && fraction.is_empty();
        if whole.is_empty() || dangling || !digits(whole) || !digits(fraction) {
            return Err(malformed());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > decimals {
            return Err(AmountError::TooPrecise { text: text.to_owned(), unit, decimals });
        }
        let wei = format!("{whole}{fraction:0<decimals$}");
        U256::from_str_radix(&wei, 10).map(Self).map_err(|_| AmountError::TooLarge { text: text.to_owned() })
    }
}

impl std::fmt::Display for Wei {
    /// In ether where that is shorter to read, in wei otherwise.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ether = U256::from(10u64).pow(U256::from(18));
        let (whole, rest) = self.0.div_rem(ether);
        let fraction = format!("{rest:0>18}");
        match fraction.trim_end_matches('0') {
            _ if self.0 < U256::from(1_000_000_000u64) => write!(f, "{} wei", self.0),
            "" => write!(f, "{whole} ether"),
            fraction => write!(f, "{whole}.{fraction} ether"),
        }
    }
}

impl TryFrom<String> for Wei {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Wei> for String {
    fn from(wei: Wei) -> Self {
        wei.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wei(text: &str) -> Result<U256, AmountError> {
        text.parse::<Wei>().map(|wei| wei.0)
    }

    #[test]
    fn units_and_decimals_are_exact() {
        let ether = U256::from(1_000_000_000_000_000_000u64);
        assert_eq!(wei("0"), Ok(U256::ZERO));
        assert_eq!(wei("12"), Ok(U256::from(12)));
        assert_eq!(wei("12wei"), Ok(U256::from(12)));
        assert_eq!(wei("1ether"), Ok(ether));
        assert_eq!(wei("1 ether"), Ok(ether));
        assert_eq!(wei("0.5ether"), Ok(ether / U256::from(2)));
        assert_eq!(wei("0.000000000000000001ether"), Ok(U256::from(1)));
        assert_eq!(wei("2.50gwei"), Ok(U256::from(2_500_000_000u64)));
        assert_eq!(wei("1.0"), Ok(U256::from(1)));
        assert_eq!(wei(&U256::MAX.to_string()), Ok(U256::MAX));
    }

    #[test]
    fn what_is_not_an_exact_amount_is_refused() {
        for text in ["", "ether", ".5ether", "1.ether", "-1", "+1", "1e18", "0x10", "1,5ether", "1.2.3ether", "one"] {
            assert!(matches!(wei(text), Err(AmountError::Malformed { .. })), "{text}");
        }
        assert!(matches!(wei("0.5"), Err(AmountError::TooPrecise { .. })));
        assert!(matches!(wei("0.0000000001gwei"), Err(AmountError::TooPrecise { .. })));
        assert!(matches!(wei(&format!("{}0", U256::MAX)), Err(AmountError::TooLarge { .. })));
        assert!(matches!(wei(&format!("{}ether", U256::MAX)), Err(AmountError::TooLarge { .. })));
    }

    #[test]
    fn amounts_are_shown_in_the_unit_that_reads_best() {
        let shown = |text: &str| text.parse::<Wei>().expect(text).to_string();
        assert_eq!(shown("5"), "5 wei");
        assert_eq!(shown("10000ether"), "10000 ether");
        assert_eq!(shown("0.25ether"), "0.25 ether");
        assert_eq!(shown("1gwei"), "0.000000001 ether");
    }
}
