//! Any server that speaks `/chat/completions`: vLLM, llama.cpp, TGI, a proxy. What it understands is known to the caller
//! and not to us, so nothing is renamed, and every endpoint that passes unread is passed on.

use super::openai_shaped::{Completions, Rules};
use crate::pass_through::PassThrough;

pub(super) static OPENAI_COMPATIBLE: Rules = Rules {
    completions: Some(&Completions::PLAIN),
    passes: &PassThrough::ALL,
    ..Rules::PLAIN
};
