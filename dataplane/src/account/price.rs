//! Cost is usage times price, in integers: summed in 128 bits, divided once, rounded up, so that no sum of parts can ever
//! be less than the whole.

use std::fmt;

use headgate_llm::usage::Usage;
use headgate_snapshot::Price;

/// Billionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// For Prometheus, which knows nothing but floats. Nothing is ever computed from it.
    pub fn as_usd_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars with up to nine decimals, without trailing zeros: `0.00025`. By hand, since each request is written twice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; 30]; // twenty for 64 bits, a point, and room
        let mut at = digits.len();
        let mut put = |digit: u8| {
            at -= 1;
            digits[at] = digit;
        };
        let (mut whole, mut fraction) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let mut is_written = false;
        for _ in 0..9 {
            let digit = (fraction % 10) as u8;
            is_written |= digit != 0;
            if is_written {
                put(b'0' + digit);
            }
            fraction /= 10;
        }
        if is_written {
            put(b'.');
        }
        loop {
            put(b'0' + (whole % 10) as u8);
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        f.write_str(std::str::from_utf8(&digits[at..]).unwrap_or_default())
    }
}

/// Prices are per million tokens.
const TOKENS_PER_PRICE: u128 = 1_000_000;

/// What `usage` costs at `price`. A class without a price of its own costs what its parent class costs. A cost beyond what
/// 64 bits hold (eighteen billion dollars) is held there.
pub fn cost(usage: &Usage, price: &Price) -> NanoUsd {
    let Usage {
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        cache_write_1h_tokens,
        output_tokens,
        reasoning_tokens,
        audio_input_tokens,
        audio_output_tokens,
        images,
        is_estimated: _,
    } = *usage;
    let cache_write = price.cache_write.unwrap_or(price.input);
    let classes = [
        (input_tokens, price.input),
        (cached_input_tokens, price.cached_input.unwrap_or(price.input)),
        (cache_write_tokens, cache_write),
        (cache_write_1h_tokens, price.cache_write_1h.unwrap_or(cache_write)),
        (output_tokens, price.output),
        (reasoning_tokens, price.reasoning.unwrap_or(price.output)),
        (audio_input_tokens, price.audio_input.unwrap_or(price.input)),
        (audio_output_tokens, price.audio_output.unwrap_or(price.output)),
    ];
    let total = classes.into_iter().fold(0_u128, |sum, (tokens, price)| {
        sum.saturating_add(u128::from(tokens) * u128::from(price))
    });
    let of_images = u128::from(images) * u128::from(price.image.unwrap_or(0));
    NanoUsd(u64::try_from(total.div_ceil(TOKENS_PER_PRICE).saturating_add(of_images)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT_4O: Price = Price {
        input: 2_500_000_000,
        output: 10_000_000_000,
        cached_input: Some(1_250_000_000),
        cache_write: None,
        cache_write_1h: None,
        reasoning: None,
        audio_input: None,
        audio_output: None,
        image: None,
    };

    fn check(usage: Usage, dollars: &str) {
        assert_eq!(cost(&usage, &GPT_4O).to_string(), dollars);
    }

    #[test]
    fn each_class_costs_its_own_price_or_that_of_its_parent() {
        check(
            Usage {
                input_tokens: 1_000_000,
                ..Usage::default()
            },
            "2.5",
        );
        check(
            Usage {
                cached_input_tokens: 1_000_000,
                ..Usage::default()
            },
            "1.25",
        );
        check(
            Usage {
                cache_write_tokens: 1_000_000,
                ..Usage::default()
            },
            "2.5",
        );
        check(
            Usage {
                reasoning_tokens: 1_000,
                ..Usage::default()
            },
            "0.01",
        );
        check(
            Usage {
                input_tokens: 12,
                output_tokens: 34,
                ..Usage::default()
            },
            "0.00037",
        );
    }

    #[test]
    fn a_cache_write_for_an_hour_and_a_picture_have_prices_of_their_own() {
        let price = Price {
            cache_write: Some(3_000_000_000),
            cache_write_1h: Some(6_000_000_000),
            image: Some(40_000_000),
            ..GPT_4O
        };
        let usage = Usage {
            cache_write_tokens: 1_000,
            cache_write_1h_tokens: 1_000,
            images: 2,
            ..Usage::default()
        };
        assert_eq!(cost(&usage, &price).to_string(), "0.089");
        assert_eq!(
            cost(
                &usage,
                &Price {
                    cache_write_1h: None,
                    ..price
                }
            )
            .to_string(),
            "0.086"
        );
    }

    #[test]
    fn a_part_of_a_nano_dollar_is_rounded_up() {
        let price = Price {
            input: 1,
            ..Price::default()
        };
        assert_eq!(
            cost(
                &Usage {
                    input_tokens: 1,
                    ..Usage::default()
                },
                &price
            ),
            NanoUsd(1)
        );
        assert_eq!(cost(&Usage::default(), &price), NanoUsd(0));
    }

    #[test]
    fn no_usage_and_no_price_overflows() {
        let price = Price {
            input: u64::MAX,
            output: u64::MAX,
            ..Price::default()
        };
        let usage = Usage {
            input_tokens: u64::MAX,
            output_tokens: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(cost(&usage, &price), NanoUsd(u64::MAX));
    }

    #[test]
    fn dollars_are_written_exactly() {
        for (nano, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (2_500_000_000, "2.5"),
            (1_000_000_000, "1"),
            (10_000, "0.00001"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(NanoUsd(nano).to_string(), text);
        }
    }
}
