//! Log lines through `tracing`: text on a terminal, else one JSON object a line.
//!
//! The JSON layer is ours because the hot path writes one line a request: it formats into a reused buffer without an
//! allocation and never waits for the disk. Lines go to a thread of their own in batches; when that thread cannot keep up
//! the line is dropped and counted, since a slow log must not become a slow gateway.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;

/// How much may wait to be written.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(20);

/// kube's client logs each call that fails as an error. We tell such trouble ourselves, once, with what it means; whoever
/// wants both names the target in the level.
const QUIET: &str = "kube_client=off";

/// Starts logging to standard error. The guard writes what is pending when it is dropped.
pub fn start(level: &str, format: LogFormat) -> Result<LogGuard, String> {
    let filter =
        EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| format!("log level `{level}`: {error}"))?;
    let is_text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    if is_text {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false);
        registry.with(layer).init();
        return Ok(LogGuard { lines: None });
    }
    let lines = Arc::new(Lines::default());
    registry
        .with(JsonLayer {
            lines: Arc::clone(&lines),
        })
        .init();
    let writer = Arc::clone(&lines);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.write_forever())
        .map_err(|error| format!("cannot start the log thread: {error}"))?;
    Ok(LogGuard { lines: Some(lines) })
}

/// Keeps logging alive; dropped at the end of the process.
pub struct LogGuard {
    lines: Option<Arc<Lines>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            lines.write_pending();
        }
    }
}

/// Lines that wait to be written.
#[derive(Default)]
struct Lines {
    pending: Mutex<Pending>,
    has_pending: Condvar,
    /// Held while writing, so that lines keep their order when the guard writes as well.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    dropped_lines: u64,
}

impl Lines {
    fn push(&self, line: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.bytes.len() + line.len() > PENDING_BYTES_MAX {
            pending.dropped_lines += 1;
            return;
        }
        let was_empty = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(line);
        drop(pending);
        if was_empty {
            self.has_pending.notify_one();
        }
    }

    fn write_forever(&self) {
        loop {
            let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = self.has_pending.wait_while(pending, |pending| pending.bytes.is_empty());
            drop(wait.unwrap_or_else(PoisonError::into_inner));
            std::thread::sleep(GATHER);
            self.write_pending();
        }
    }

    fn write_pending(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Pending { bytes, dropped_lines } =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stderr = std::io::stderr().lock();
        // There is nowhere to report a log that cannot be written.
        let _ = stderr.write_all(&bytes);
        if dropped_lines > 0 {
            let _ = writeln!(
                stderr,
                r#"{{"level":"WARN","message":"log lines were dropped because nobody read them fast enough","lines":{dropped_lines}}}"#
            );
        }
    }
}

struct JsonLayer {
    lines: Arc<Lines>,
}

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The second of the last line, and its text up to the point.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
}

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let metadata = event.metadata();
            line.push_str(r#"{"timestamp":""#);
            write_timestamp(line, SystemTime::now());
            line.push_str(r#"","level":""#);
            line.push_str(metadata.level().as_str());
            line.push('"');
            event.record(&mut JsonVisitor { line });
            line.push_str("}\n");
            self.lines.push(line.as_bytes());
        });
    }
}

/// RFC 3339 in UTC with microseconds. The calendar is computed once a second and thread, not once a line.
fn write_timestamp(line: &mut String, now: SystemTime) {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = i64::try_from(since_epoch.as_secs()).unwrap_or(0);
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second || text.is_empty() {
            let timestamp = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            *known = second;
            text.clear();
            let _ = write!(text, "{timestamp}");
            text.truncate(text.trim_end_matches('Z').len());
        }
        line.push_str(text);
    });
    line.push('.');
    push_padded(line, since_epoch.subsec_micros(), 6);
    line.push('Z');
}

/// `number` with zeros in front up to `digits`.
fn push_padded(line: &mut String, number: u32, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    line.extend(std::iter::repeat_n('0', digits.saturating_sub(text.len())));
    line.push_str(text);
}

struct JsonVisitor<'a> {
    line: &'a mut String,
}

impl JsonVisitor<'_> {
    fn key(&mut self, field: &Field) {
        self.line.push_str(",\"");
        self.line.push_str(field.name()); // an identifier of ours: nothing to escape
        self.line.push_str("\":");
    }
}

impl Visit for JsonVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        self.line.push('"');
        let _ = Escaped(self.line).write_str(value);
        self.line.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.key(field);
        self.line.push_str(if value { "true" } else { "false" });
    }

    /// Times are microseconds as a fraction of a millisecond: three decimals, without the general way to print a float.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.key(field);
        let thousandths = (value * 1000.0).round();
        if field.name().ends_with("_ms") && (0.0..1e12).contains(&thousandths) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked"
            )]
            let thousandths = thousandths as u64;
            self.line.push_str(itoa::Buffer::new().format(thousandths / 1000));
            self.line.push('.');
            push_padded(self.line, u32::try_from(thousandths % 1000).unwrap_or(0), 3);
            return;
        }
        let _ = if value.is_finite() {
            write!(self.line, "{value}")
        } else {
            write!(self.line, "null")
        };
    }

    /// Money is exact decimal digits by its own `Display`, so it is written as the number it is.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.key(field);
        if field.name().ends_with("_usd") {
            let _ = write!(self.line, "{value:?}");
            return;
        }
        self.line.push('"');
        let _ = write!(Escaped(self.line), "{value:?}");
        self.line.push('"');
    }
}

/// Escapes what JSON demands (RFC 8259, section 7).
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // By bytes: what is escaped is ASCII, and no byte of another character looks like ASCII.
        while let Some(at) = rest
            .bytes()
            .position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')
        {
            let (plain, special) = rest.split_at(at);
            self.0.push_str(plain);
            match special.as_bytes()[0] {
                b'"' => self.0.push_str("\\\""),
                b'\\' => self.0.push_str("\\\\"),
                b'\n' => self.0.push_str("\\n"),
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &special[1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_stands_in_it() {
        let lines = Arc::new(Lines::default());
        let subscriber = tracing_subscriber::registry().with(JsonLayer {
            lines: Arc::clone(&lines),
        });
        tracing::subscriber::with_default(subscriber, || {
            let cost = crate::account::price::NanoUsd(250_000);
            tracing::info!(
                text = "a \"quote\"\n\\ \u{1}",
                tokens = 12_u64,
                latency_ms = 0.25,
                cost_usd = %cost,
                absent = None::<u64>,
                "llm_response_sent"
            );
        });
        let bytes = std::mem::take(&mut lines.pending.lock().unwrap().bytes);
        let mut line: serde_json::Value = serde_json::from_slice(&bytes).expect("one JSON object");
        let timestamp = line["timestamp"].take();
        assert!(
            timestamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            "{timestamp}"
        );
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": null, "level": "INFO", "message": "llm_response_sent", "text": "a \"quote\"\n\\ \u{1}",
                "tokens": 12, "latency_ms": 0.25, "cost_usd": 0.00025
            })
        );
        assert_eq!(
            bytes.split(|&byte| byte == b'\n').count(),
            2,
            "one line and what follows it"
        );
    }

    #[test]
    fn a_timestamp_is_rfc_3339_in_every_second() {
        let at = |micros: u64| {
            let mut line = String::new();
            write_timestamp(&mut line, UNIX_EPOCH + Duration::from_micros(micros));
            line
        };
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(1_795_261_177_000_042), "2026-11-21T11:39:37.000042Z");
        assert_eq!(at(1_795_261_178_999_999), "2026-11-21T11:39:38.999999Z");
    }

    #[test]
    fn a_log_that_nobody_reads_is_bounded_and_says_what_it_dropped() {
        let lines = Lines::default();
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..6 {
            lines.push(&line);
        }
        let pending = lines.pending.lock().unwrap();
        assert_eq!((pending.bytes.len(), pending.dropped_lines), (4 * 1024 * 1024, 2));
    }
}
