//! Prices of a manifest, USD per million tokens, to the nano-USD per million that a snapshot counts in.
//!
//! Nothing can overflow or be rounded: `Money` is a decimal of at most nine digits on each side of the point, which is
//! exactly what nano-USD in 64 bits hold. Destructured in full, so that a price of a new kind cannot be forgotten here: one
//! that is ignored in silence is an underbill.

use headgate_crds::Money;
use headgate_crds::llm_provider::ModelPrice;
use headgate_snapshot::Price;

/// The price as the data plane computes with it.
pub(crate) fn compile(price: &ModelPrice) -> Price {
    let ModelPrice {
        input,
        output,
        cached_input,
        cache_write,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
        image,
    } = price;
    let nano_usd = |money: &Option<Money>| money.map(Money::nano_usd);
    Price {
        input: input.nano_usd(),
        output: output.nano_usd(),
        cached_input: nano_usd(cached_input),
        cache_write: nano_usd(cache_write),
        cache_write_1h: nano_usd(cache_write_1h),
        reasoning: nano_usd(reasoning),
        audio_input: nano_usd(audio_input),
        audio_output: nano_usd(audio_output),
        image: nano_usd(image),
    }
}
