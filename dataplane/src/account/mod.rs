//! What a request cost.

pub mod price;
