//! The Gateway API duration string (`30s`, `5m`, `1h30m`) and the `std` duration it stands for.
//!
//! Promises that every text which passes the schema's pattern also deserialises: an operator that lists objects must never
//! fail on one that the API server let in. Hence durations beyond [`Duration::MAX`] (eleven years) count as that.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the schema demands: one to four numbers of at most five digits, each with a unit (GEP-2257).
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// The longest text that fits the pattern: four times five digits and a unit of two letters.
pub const TEXT_LENGTH_MAX: u32 = 28;

/// A span of time in whole milliseconds, written as people write it in a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    millis: u64, // never above `Duration::MAX`
}

impl Duration {
    /// The longest span: 99999 hours, what one component of the text can say.
    pub const MAX: Self = Self {
        millis: 99_999 * 3_600_000,
    };

    /// So many milliseconds, [`Self::MAX`] at most.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.millis {
            Self::MAX
        } else {
            Self { millis }
        }
    }

    /// So many seconds, [`Self::MAX`] at most.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }

    /// The span in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.millis == 0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        Self::from_millis(duration.millis)
    }
}

/// The text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write for example 30s, 5m or 1h30m (units h, m, s, ms)")]
pub struct NotADuration(String);

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotADuration(text.chars().take(64).collect());
        let mut millis: u64 = 0;
        let mut rest = text;
        let mut components = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            components += 1;
            if !(1..=5).contains(&digits) || components > 4 {
                return Err(wrong());
            }
            let (number, after) = rest.split_at(digits);
            let (unit_millis, after) = unit(after).ok_or_else(wrong)?;
            // At most 99999 hours four times: far below the limit of u64.
            millis += number.parse::<u64>().map_err(|_| wrong())? * unit_millis;
            rest = after;
        }
        if components == 0 {
            Err(wrong())
        } else {
            Ok(Self::from_millis(millis))
        }
    }
}

/// Splits the unit off the front: its length in milliseconds, and what follows. `ms` before `m`, of which it is no prefix.
fn unit(text: &str) -> Option<(u64, &str)> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    UNITS
        .iter()
        .find_map(|(name, millis)| Some((*millis, text.strip_prefix(name)?)))
}

impl fmt::Display for Duration {
    /// The shortest form in falling units: `1h30m`, `15m`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0s");
        }
        let parts = [
            (self.millis / 3_600_000, "h"),
            (self.millis / 60_000 % 60, "m"),
            (self.millis / 1_000 % 60, "s"),
            (self.millis % 1_000, "ms"),
        ];
        parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": TEXT_LENGTH_MAX })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<u64> {
        text.parse::<Duration>().ok().map(Duration::as_millis)
    }

    #[test]
    fn texts_mean_what_people_mean() {
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("0s"), Some(0));
        assert_eq!(
            millis("1m1h1m"),
            Some(3_720_000),
            "order and repetition are the pattern's business, not ours"
        );
        assert_eq!(
            millis("99999h99999h"),
            Some(Duration::MAX.as_millis()),
            "eleven years are enough"
        );
    }

    #[test]
    fn what_the_pattern_refuses_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5d",
            "1.5h",
            "-5s",
            "5 s",
            "100000s",
            "1h1m1s1ms1s",
            "5S",
            "5us",
            "\u{0665}s",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        let error = "tomorrow".parse::<Duration>().unwrap_err();
        assert!(error.to_string().contains("write for example 30s"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_passes_the_pattern_can_be_read(text in "([0-9]{1,5}(h|m|s|ms)){1,4}") {
            prop_assert!(text.len() <= TEXT_LENGTH_MAX as usize);
            let duration: Duration = text.parse().unwrap();
            prop_assert!(duration <= Duration::MAX);
        }

        #[test]
        fn the_shortest_form_passes_the_pattern_and_reads_back(millis in 0..=Duration::MAX.as_millis()) {
            let duration = Duration::from_millis(millis);
            let text = duration.to_string();
            prop_assert!(regex::Regex::new(PATTERN).unwrap().is_match(&text), "{}", text);
            prop_assert_eq!(text.parse::<Duration>().unwrap(), duration);
        }

        #[test]
        fn the_parser_and_the_pattern_agree(text in "[0-9hms. -]{0,12}") {
            prop_assert_eq!(regex::Regex::new(PATTERN).unwrap().is_match(&text), text.parse::<Duration>().is_ok());
        }
    }
}
