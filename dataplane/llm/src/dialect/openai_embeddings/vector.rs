//! Vectors: JSON lists of numbers, and the same as base64 of 32-bit floats in little-endian order.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{self, Kind};

/// The vector in base64. `None`: it is no list of numbers that fit.
pub(super) fn in_base64(json: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(json.len() / 2);
    let is_vector = each_number(json, |number| {
        let number = number.parse::<f32>().ok().filter(|number| number.is_finite());
        number.map(|number| bytes.extend(number.to_le_bytes())).is_some()
    });
    is_vector.then(|| STANDARD.encode(bytes))
}

/// Whether it is a list of numbers.
pub(super) fn is_vector(json: &str) -> bool {
    each_number(json, |_| true)
}

/// Shows each number; false where something else is found, or `on_number` says so.
fn each_number(json: &str, mut on_number: impl FnMut(&str) -> bool) -> bool {
    let mut all = true;
    let walked = json::walk(json.as_bytes(), |member| {
        let value = &json[member.value];
        all = json::kind(value.as_bytes()) == Kind::Number && on_number(value);
        if all {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    walked == Ok(Kind::Array) && all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_holds_little_endian_floats_of_four_bytes() {
        // As numpy has it: base64.b64encode(numpy.array([1, -0.5, 3.1415927e-05], dtype="<f4"))
        assert_eq!(
            in_base64("[1, -0.5,3.1415927e-05]").as_deref(),
            Some("AACAPwAAAL+YxAM4")
        );
        assert_eq!(in_base64("[ ]").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_list_of_numbers_is_no_vector() {
        for json in ["{}", "\"AAAA\"", "null", "[null]", "[\"1\"]", "[[1]]", "[1,true]"] {
            assert!(in_base64(json).is_none() && !is_vector(json), "{json}");
        }
        assert!(in_base64("[1e300]").is_none(), "a float of four bytes does not hold it");
    }
}
