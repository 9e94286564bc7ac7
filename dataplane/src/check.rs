//! `headgate check DIR`: what is wrong with a folder of manifests, without serving it.
//!
//! The findings are those of `serve`, from the same function. Nothing is contacted, no variable is expanded and no key is
//! minted, so it may run on any machine and on anybody's branch. The exit code is for CI: 0 nothing wrong, 1 findings
//! (warnings only with `--deny-warnings`), 2 the folder cannot be read. JSON is a document in each of these cases.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde::Serialize;

use crate::args::{self, CheckArgs, Output};
use crate::diagnostic::{self, Place, Report, Severity, Style, mask};
use crate::source::manifests::{self, Checked};

/// What the command prints and how it exits.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For standard output.
    pub output: String,
    /// For standard error.
    pub error: String,
    /// The exit code: 0, 1 or 2.
    pub exit_code: u8,
}

/// The JSON document of `--output json`. Fields may be added, none renamed or removed.
#[derive(Serialize)]
struct Document<'a> {
    /// Whether the exit code is 0.
    clean: bool,
    /// Manifest files that were read.
    files: usize,
    /// Objects that Headgate reads.
    objects: usize,
    errors: usize,
    warnings: usize,
    findings: &'a [Report],
}

/// Checks the folder and prints the verdict.
pub fn run(args: &CheckArgs) -> ExitCode {
    let style = Style::of(std::io::stdout().is_terminal(), &args::environment);
    let Verdict {
        output,
        error,
        exit_code,
    } = verdict(args, style);
    // Nobody is left to tell when a pipe is closed early, as by `| head`; the exit code still counts.
    let _ = std::io::stdout().write_all(output.as_bytes());
    let _ = std::io::stderr().write_all(error.as_bytes());
    ExitCode::from(exit_code)
}

/// Checks the folder. Reads files and does nothing else.
pub fn verdict(args: &CheckArgs, style: Style) -> Verdict {
    match manifests::check(&args.dir) {
        Ok(checked) => judge(&checked, args, style),
        Err(error) => unreadable(&error.to_string(), args.output),
    }
}

/// Nothing was judged, so there is nothing to say but why.
fn unreadable(message: &str, output: Output) -> Verdict {
    let report = Report::new(Severity::Error, "Unreadable", message).at(named(message));
    let output = match output {
        Output::Text => String::new(),
        Output::Json => json(&Document {
            clean: false,
            files: 0,
            objects: 0,
            errors: 1,
            warnings: 0,
            findings: &[report],
        }),
    };
    Verdict {
        output,
        error: format!("error: {}\n", mask::controls(message)),
        exit_code: 2,
    }
}

/// The file or folder that a message puts into backticks, which a name may hold itself. Where in it is not known, so its
/// beginning stands for the whole.
fn named(message: &str) -> Option<Place> {
    let (start, end) = (message.find('`')? + 1, message.rfind('`')?);
    Some(Place {
        file: message.get(start..end)?.to_owned(),
        line: 1,
        column: 1,
        length: 1,
        line_text: String::new(),
    })
}

fn json(document: &Document<'_>) -> String {
    serde_json::to_string_pretty(document).expect("reports are strings and numbers") + "\n"
}

fn judge(checked: &Checked, args: &CheckArgs, style: Style) -> Verdict {
    let Checked {
        files,
        objects,
        findings,
    } = checked;
    let of = |severity| findings.iter().filter(|report| report.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let clean = errors == 0 && (warnings == 0 || !args.deny_warnings);
    let output = match args.output {
        Output::Json => json(&Document {
            clean,
            files: *files,
            objects: *objects,
            errors,
            warnings,
            findings,
        }),
        Output::Text => {
            let mut text = diagnostic::render(findings, style);
            let counts = diagnostic::count(findings);
            let result = if counts.is_empty() {
                "nothing wrong".to_owned()
            } else {
                counts
            };
            let _ = writeln!(
                text,
                "{}, {}: {result}",
                counted(*files, "file"),
                counted(*objects, "object")
            );
            text
        }
    };
    Verdict {
        output,
        error: String::new(),
        exit_code: u8::from(!clean),
    }
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}
