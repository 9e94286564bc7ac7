//! Any server that speaks `/chat/completions`: vLLM, llama.cpp, TGI, a proxy. What it understands is known to the caller
//! and not to us, so nothing is renamed.

use super::openai_shaped::Rules;

pub(super) static OPENAI_COMPATIBLE: Rules = Rules::PLAIN;
