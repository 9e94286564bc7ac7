//! What the fake provider can do, and the model names under which it does it.

use std::time::Duration;

/// One way to treat one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// A correct answer, whole or streamed as the request asks; a tool call when the request brings tools.
    Chat {
        /// Content events of a stream.
        events: u32,
        /// Pause before each event.
        every: Duration,
        /// `usage`: always in a whole answer, in a stream when `stream_options` asks. `false`: never.
        usage: bool,
    },
    /// The request that arrived, as JSON in the content of a correct whole answer.
    Echo,
    /// An error status with `OpenAI`'s error body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `retry-after` header, in seconds.
        retry_after_s: Option<u32>,
        /// The message repeats the credential that was sent, as real providers do for a wrong key.
        repeats_credential: bool,
    },
    /// 307 to a path of the same server that would answer correctly.
    Redirect,
    /// Reads the request, then says nothing.
    Hang,
    /// A head that promises a body, half of the body, then nothing.
    HangMidBody,
    /// Two stream events, then nothing.
    HangMidStream,
    /// Reads the request, then resets the connection.
    Reset,
    /// Two stream events, then a reset.
    ResetMidStream,
    /// Bytes that are not HTTP.
    Garbage,
    /// 200 with a body of HTML.
    NotJson,
    /// A stream with a single line of this many bytes.
    LongLine(usize),
    /// A whole answer of this many bytes of content.
    BigAnswer(usize),
    /// A correct whole answer, compressed whether or not that was accepted.
    Gzip,
    /// A small compressed answer which decodes to this many bytes.
    GzipBomb(usize),
    /// A stream that ends properly as far as HTTP goes, but without `[DONE]`.
    CutBeforeDone,
    /// A whole answer whose connection closes halfway through the promised length.
    CutMidBody,
    /// Two stream events, then an error object as the third, then the end.
    ErrorEvent,
}

impl Behaviour {
    /// A correct answer without delay: 5 events when streamed.
    pub const CHAT: Self = Self::Chat {
        events: 5,
        every: Duration::ZERO,
        usage: true,
    };

    /// How names of models begin on Bedrock, where the maker decides about the body.
    pub const MAKERS: [&str; 2] = ["amazon.titan-embed-text-v2-", "cohere.embed-v4-"];

    /// Names without parameters. `status-N`, `status-N-after-S`, `line-Nmb`, `answer-Nmb`, `bomb-Nmb` and
    /// `events-N-every-Mms` are understood besides.
    pub const NAMES: [&str; 18] = [
        "chat",
        "no-usage",
        "slow",
        "echo",
        "leaky",
        "redirect",
        "hang",
        "hang-mid-body",
        "hang-mid-stream",
        "reset",
        "reset-mid-stream",
        "garbage",
        "not-json",
        "gzip",
        "cut-before-done",
        "cut-mid-body",
        "error-event",
        "status-500",
    ];

    /// The behaviour a model name stands for; `None` is answered as a provider answers an unknown model. Where a name must
    /// tell whose model it is, the behaviour stands behind one of [`Self::MAKERS`].
    pub fn named(model: &str) -> Option<Self> {
        let model = Self::MAKERS
            .iter()
            .find_map(|maker| model.strip_prefix(maker))
            .unwrap_or(model);
        Some(match model {
            "chat" => Self::CHAT,
            "no-usage" => Self::Chat {
                events: 5,
                every: Duration::ZERO,
                usage: false,
            },
            // Long enough for any test to act in the middle: 20 s.
            "slow" => Self::Chat {
                events: 200,
                every: Duration::from_millis(100),
                usage: true,
            },
            "echo" => Self::Echo,
            "leaky" => Self::Status {
                status: 400,
                retry_after_s: None,
                repeats_credential: true,
            },
            "redirect" => Self::Redirect,
            "hang" => Self::Hang,
            "hang-mid-body" => Self::HangMidBody,
            "hang-mid-stream" => Self::HangMidStream,
            "reset" => Self::Reset,
            "reset-mid-stream" => Self::ResetMidStream,
            "garbage" => Self::Garbage,
            "not-json" => Self::NotJson,
            "gzip" => Self::Gzip,
            "cut-before-done" => Self::CutBeforeDone,
            "cut-mid-body" => Self::CutMidBody,
            "error-event" => Self::ErrorEvent,
            _ => return Self::with_parameters(model),
        })
    }

    fn with_parameters(model: &str) -> Option<Self> {
        const MIB: usize = 1024 * 1024;
        let megabytes = |text: &str| text.strip_suffix("mb")?.parse::<usize>().ok().map(|n| n * MIB);
        if let Some(rest) = model.strip_prefix("status-") {
            let (status, after) = rest.split_once("-after-").map_or((rest, None), |(s, a)| (s, Some(a)));
            let retry_after_s = after.map(str::parse).transpose().ok()?;
            return Some(Self::Status {
                status: status.parse().ok()?,
                retry_after_s,
                repeats_credential: false,
            });
        }
        if let Some(rest) = model.strip_prefix("events-") {
            let (events, every) = rest.split_once("-every-")?;
            let every = Duration::from_millis(every.strip_suffix("ms")?.parse().ok()?);
            return Some(Self::Chat {
                events: events.parse().ok()?,
                every,
                usage: true,
            });
        }
        if let Some(size) = model.strip_prefix("line-") {
            return megabytes(size).map(Self::LongLine);
        }
        if let Some(size) = model.strip_prefix("answer-") {
            return megabytes(size).map(Self::BigAnswer);
        }
        megabytes(model.strip_prefix("bomb-")?).map(Self::GzipBomb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_understood() {
        for name in Behaviour::NAMES {
            assert!(Behaviour::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn parameters_are_read_from_the_name() {
        assert_eq!(
            Behaviour::named("status-429-after-7"),
            Some(Behaviour::Status {
                status: 429,
                retry_after_s: Some(7),
                repeats_credential: false
            })
        );
        assert_eq!(
            Behaviour::named("events-3-every-20ms"),
            Some(Behaviour::Chat {
                events: 3,
                every: Duration::from_millis(20),
                usage: true
            })
        );
        assert_eq!(Behaviour::named("line-100mb"), Some(Behaviour::LongLine(100 << 20)));
    }

    #[test]
    fn a_name_that_means_nothing_is_an_unknown_model() {
        for name in ["gpt-4o", "status-x", "events-3", "line-100", "bomb-", ""] {
            assert_eq!(Behaviour::named(name), None, "{name}");
        }
    }
}
