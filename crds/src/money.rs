//! US dollars as people write them (`"500"`, `"0.25"`) and as we count them: integer nano-USD, never a float.
//!
//! Promises to be exact, and total over the schema's pattern: nine digits before the point and nine after it always fit
//! `u64`, so what the API server admits never fails to deserialise.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the schema demands: a plain decimal of at most nine digits on each side of the point.
pub const PATTERN: &str = r"^[0-9]{1,9}(\.[0-9]{1,9})?$";
/// The longest text that fits the pattern.
pub const TEXT_LENGTH_MAX: u32 = 19;

const NANO_PER_USD: u64 = 1_000_000_000;

/// An amount of US dollars, exact to the nano-dollar; below one billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    nano_usd: u64, // never above `Money::MAX`
}

impl Money {
    /// One nano-dollar below a billion dollars: the largest amount that the text can say.
    pub const MAX: Self = Self {
        nano_usd: NANO_PER_USD * NANO_PER_USD - 1,
    };
    /// Nothing.
    pub const ZERO: Self = Self { nano_usd: 0 };

    /// So many nano-USD, [`Self::MAX`] at most: a status that counted further still has to be readable.
    pub const fn from_nano_usd(nano_usd: u64) -> Self {
        if nano_usd > Self::MAX.nano_usd {
            Self::MAX
        } else {
            Self { nano_usd }
        }
    }

    /// The amount in nano-USD.
    pub const fn nano_usd(self) -> u64 {
        self.nano_usd
    }
}

/// The text is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount in USD; write a plain decimal such as \"500\" or \"0.25\", at most nine digits a side")]
pub struct NotMoney(String);

impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotMoney(text.chars().take(64).collect());
        let is_digits = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if !is_digits(whole) || !is_digits(fraction) {
            return Err(wrong());
        }
        let dollars: u64 = whole.parse().map_err(|_| wrong())?;
        let nanos: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
        Ok(Self {
            nano_usd: dollars * NANO_PER_USD + nanos,
        })
    }
}

impl fmt::Display for Money {
    /// Without trailing zeros: `500`, `0.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.nano_usd / NANO_PER_USD, self.nano_usd % NANO_PER_USD);
        if nanos == 0 {
            return write!(f, "{dollars}");
        }
        let fraction = format!("{nanos:09}");
        write!(f, "{dollars}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Money {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": TEXT_LENGTH_MAX })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nano(text: &str) -> Option<u64> {
        text.parse::<Money>().ok().map(Money::nano_usd)
    }

    #[test]
    fn amounts_are_exact_to_the_nano_dollar() {
        assert_eq!(nano("500"), Some(500_000_000_000));
        assert_eq!(nano("0.25"), Some(250_000_000));
        assert_eq!(nano("0.1"), Some(100_000_000), "a float would be off here");
        assert_eq!(nano("0.000000001"), Some(1));
        assert_eq!(nano("007.50"), Some(7_500_000_000));
        assert_eq!(nano("0"), Some(0));
        assert_eq!(nano("999999999.999999999"), Some(Money::MAX.nano_usd()));
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        let wrong = [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "$5",
            "1 ",
            "1000000000",
            "0.0000000001",
            "1.2.3",
            "NaN",
        ];
        for text in wrong {
            assert_eq!(nano(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_in_place_of_the_text_is_refused() {
        assert!(serde_json::from_str::<Money>("0.1").is_err());
        assert!(serde_json::from_str::<Money>("\"0.1\"").is_ok());
    }

    #[test]
    fn amounts_beyond_the_text_count_as_the_largest() {
        assert_eq!(Money::from_nano_usd(u64::MAX), Money::MAX);
    }

    proptest! {
        #[test]
        fn whatever_passes_the_pattern_can_be_read(text in r"[0-9]{1,9}(\.[0-9]{1,9})?") {
            prop_assert!(text.len() <= TEXT_LENGTH_MAX as usize);
            prop_assert!(text.parse::<Money>().unwrap() <= Money::MAX);
        }

        #[test]
        fn every_amount_reads_back_as_itself(nano_usd in 0..=Money::MAX.nano_usd()) {
            let money = Money::from_nano_usd(nano_usd);
            let text = money.to_string();
            prop_assert!(regex::Regex::new(PATTERN).unwrap().is_match(&text), "{}", text);
            prop_assert_eq!(text.parse::<Money>().unwrap(), money);
        }

        #[test]
        fn the_parser_and_the_pattern_agree(text in "[0-9.eE+-]{0,12}") {
            prop_assert_eq!(regex::Regex::new(PATTERN).unwrap().is_match(&text), text.parse::<Money>().is_ok());
        }
    }
}
