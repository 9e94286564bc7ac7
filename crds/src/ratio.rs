//! A share between 0 and 1 written as a decimal string (`"0.95"`), counted in ten-thousandths.
//!
//! A string, because API conventions allow no floats; total over the schema's pattern, so what the API server admits never
//! fails to deserialise.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the schema demands: 0 to 1 with at most four decimals.
pub const PATTERN: &str = r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$";
/// The longest text that fits the pattern.
pub const TEXT_LENGTH_MAX: u32 = 6;

/// A share between 0 and 1, exact to a ten-thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio {
    ten_thousandths: u16, // never above 10 000
}

impl Ratio {
    /// So many ten-thousandths, 10 000 (the whole) at most.
    pub const fn from_ten_thousandths(ten_thousandths: u16) -> Self {
        if ten_thousandths > 10_000 {
            Self {
                ten_thousandths: 10_000,
            }
        } else {
            Self { ten_thousandths }
        }
    }

    /// The share in ten-thousandths: 0 to 10 000.
    pub const fn ten_thousandths(self) -> u16 {
        self.ten_thousandths
    }
}

/// The text is not a share between 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share between 0 and 1; write for example \"0.95\", at most four decimals")]
pub struct NotARatio(String);

impl FromStr for Ratio {
    type Err = NotARatio;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotARatio(text.chars().take(64).collect());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_fraction = (1..=4).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
        if !matches!(whole, "0" | "1") || !is_fraction {
            return Err(wrong());
        }
        let parts: u16 = format!("{fraction:0<4}").parse().map_err(|_| wrong())?;
        match (whole, parts) {
            ("0", parts) => Ok(Self { ten_thousandths: parts }),
            (_, 0) => Ok(Self {
                ten_thousandths: 10_000,
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Ratio {
    /// Without trailing zeros: `0.8`, `1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ten_thousandths {
            0 => f.write_str("0"),
            10_000 => f.write_str("1"),
            parts => write!(f, "0.{}", format!("{parts:04}").trim_end_matches('0')),
        }
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Ratio {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ratio".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": TEXT_LENGTH_MAX })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_exact_to_a_ten_thousandth() {
        let parts = |text: &str| text.parse::<Ratio>().ok().map(Ratio::ten_thousandths);
        assert_eq!(parts("0.95"), Some(9_500));
        assert_eq!(parts("0"), Some(0));
        assert_eq!(parts("1.0"), Some(10_000));
        assert_eq!(parts("0.0001"), Some(1));
        for text in ["", "1.1", "2", "-0.5", ".5", "0.", "0.00001", "95%", "00.5"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_parser_and_the_pattern_agree(text in "[01][.0-9]{0,6}") {
            prop_assert_eq!(regex::Regex::new(PATTERN).unwrap().is_match(&text), text.parse::<Ratio>().is_ok());
        }

        #[test]
        fn every_share_reads_back_as_itself(parts in 0_u16..=10_000) {
            let ratio = Ratio::from_ten_thousandths(parts);
            prop_assert_eq!(ratio.to_string().parse::<Ratio>().unwrap(), ratio);
        }
    }
}
