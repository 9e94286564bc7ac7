//! One finding as people and machines read it: what is wrong, with which object, in which line, and what to do.
//!
//! A [`Report`] carries the one source line it points at, so it can be drawn long after the file changed. That line is
//! handed over already cleared of secrets: what a Secret holds is masked before it gets here (see
//! `source/manifests/file.rs`), and the JSON form has no source text at all. What looks like a credential in any other
//! place is masked here, in lines and messages alike, and no file name or message commands a terminal (see `mask`). The
//! JSON form is documented, stable, and the same in `headgate check --output json` and in `/snapshot`.

pub(crate) mod mask;

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The object is left out or refused; `headgate check` exits with 1.
    Error,
    /// Served, but not as written or not as one would expect.
    Warning,
    /// Worth knowing; never changes an exit code.
    Note,
}

/// The object a report is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Subject {
    /// `LLMProvider`, `RoutePolicy`, …
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name within that.
    pub name: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Where in the manifests it is. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file, as reached from the folder that was named.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column where it begins.
    pub column: usize,
    /// How many characters of that line are meant, at least 1.
    pub length: usize,
    /// The line itself with secrets masked; drawn, never serialised.
    #[serde(skip)]
    pub line_text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", mask::controls(&self.file), self.line, self.column)
    }
}

/// One finding. In JSON: `severity`, `reason`, `object {kind, namespace, name}`, `field`, `message`, `help`, `file`,
/// `line`, `column`, `length`; what is not known is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// A stable CamelCase word, the same that the operator writes into a condition (`RefNotFound`, `Conflicted`, …).
    pub reason: String,
    /// The object it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Subject>,
    /// The field it is about, as a path such as `spec.targets[0].provider`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A sentence that says what is wrong.
    pub message: String,
    /// What to do, where the message does not say so already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where it is, where it came from a file.
    #[serde(flatten)]
    pub place: Option<Place>,
}

impl Report {
    /// A report that is about no object and no place yet.
    pub fn new(severity: Severity, reason: impl Into<String>, message: impl Into<String>) -> Self {
        let (reason, message) = (reason.into(), shown(&message.into()));
        Self {
            severity,
            reason,
            object: None,
            field: None,
            message,
            help: None,
            place: None,
        }
    }

    /// The same, about `object`.
    #[must_use]
    pub fn about(mut self, object: Subject) -> Self {
        self.object = Some(object);
        self
    }

    /// The same, about the field at `path`; empty: the whole object.
    #[must_use]
    pub fn in_field(mut self, path: impl Into<String>) -> Self {
        self.field = Some(shown(&path.into())).filter(|path| !path.is_empty());
        self
    }

    /// The same, at `place`.
    #[must_use]
    pub fn at(mut self, place: impl Into<Option<Place>>) -> Self {
        self.place = place.into();
        self
    }

    /// The same, with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Text of ours with words of a file in it, as it may be shown.
fn shown(text: &str) -> String {
    mask::credentials(&mask::controls(text))
}

/// One line for logs: no source text, no colour.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.headline())
    }
}

impl Report {
    /// Object, field and message, as far as there are any and the message does not name the field itself.
    fn headline(&self) -> String {
        let object = self.object.as_ref().map(|object| format!("{object}: "));
        let field = self
            .field
            .as_ref()
            .filter(|field| !self.message.contains(field.as_str()));
        let field = field.map(|field| format!("{field}: "));
        object.unwrap_or_default() + &field.unwrap_or_default() + &self.message
    }
}

/// How reports are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Characters that every log viewer shows; what tests and CI see.
    Plain,
    /// Box characters and colour, for a terminal.
    Terminal,
}

impl Style {
    /// Colour only for a terminal and only without `NO_COLOR` (any non-empty value, by no-color.org) or `TERM=dumb`.
    pub fn of(is_terminal: bool, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let wants_plain = environment("NO_COLOR").is_some() || environment("TERM").is_some_and(|term| term == "dumb");
        if is_terminal && !wants_plain {
            Self::Terminal
        } else {
            Self::Plain
        }
    }

    fn theme(self) -> GraphicalTheme {
        match self {
            Self::Plain => GraphicalTheme {
                characters: ThemeCharacters::ascii(),
                styles: ThemeStyles::none(),
            },
            Self::Terminal => GraphicalTheme {
                characters: ThemeCharacters::unicode(),
                styles: ThemeStyles::ansi(),
            },
        }
    }
}

/// Draws reports for people: message, file with line and column, the line with a caret, advice.
pub fn render(reports: &[Report], style: Style) -> String {
    // Terminals wrap by themselves, and wrapped messages cannot be searched for.
    let handler = GraphicalReportHandler::new_themed(style.theme())
        .with_links(false)
        .with_wrap_lines(false);
    let mut text = String::new();
    for report in reports {
        handler
            .render_report(&mut text, &Drawn::of(report))
            .expect("writing to a String cannot fail");
        text.push('\n');
    }
    text
}

/// `2 errors, 1 warning`; empty if there is neither.
pub fn count(reports: &[Report]) -> String {
    let of = |severity, word: &str| match reports.iter().filter(|report| report.severity == severity).count() {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let counts: Vec<_> = [of(Severity::Error, "error"), of(Severity::Warning, "warning")]
        .into_iter()
        .flatten()
        .collect();
    counts.join(", ")
}

/// A report in the terms of the drawing library.
#[derive(Debug)]
struct Drawn<'a> {
    report: &'a Report,
    headline: String,
    source: Option<SourceLine<'a>>,
}

impl<'a> Drawn<'a> {
    fn of(report: &'a Report) -> Self {
        // A line that is too long to show is named in words.
        let shown = report.place.as_ref().filter(|place| !place.line_text.is_empty());
        let headline = if shown.is_some() {
            report.headline()
        } else {
            report.to_string()
        };
        Self {
            report,
            headline,
            source: shown.map(|place| SourceLine::of(place, report.field.as_deref())),
        }
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(&self.report.reason))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.report.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.report
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.source.as_ref()?.span();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

/// One line of a file that is no longer at hand, as source code: only that line, numbered as in the file.
#[derive(Debug)]
struct SourceLine<'a> {
    place: &'a Place,
    /// The line as it may be shown; as many characters as the line has.
    text: String,
}

impl<'a> SourceLine<'a> {
    /// The line of a finding about `field`, without what may be a credential.
    fn of(place: &'a Place, field: Option<&str>) -> Self {
        let line = &place.line_text;
        let is_sensitive = field.is_some_and(mask::is_sensitive);
        let masked = if is_sensitive {
            mask::values_behind(line, place.column - 1)
        } else {
            line.clone()
        };
        let text = mask::controls_in_place(&mask::credentials(&masked));
        Self { place, text }
    }

    /// Bytes of the marked characters within the line.
    fn span(&self) -> SourceSpan {
        let Place { column, length, .. } = self.place;
        let byte_of = |character: usize| {
            self.text
                .char_indices()
                .nth(character)
                .map_or(self.text.len(), |(at, _)| at)
        };
        let start = byte_of(column - 1);
        let end = byte_of(column - 1 + length);
        (start, end - start).into()
    }
}

impl SourceCode for SourceLine<'_> {
    fn read_span<'b>(
        &'b self,
        _: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let Place { file, line, column, .. } = self.place;
        let whole_line = (0, self.text.len()).into();
        let file = mask::controls(file).into_owned();
        let contents = MietteSpanContents::new_named(file, self.text.as_bytes(), whole_line, line - 1, column - 1, 1);
        Ok(Box::new(contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let place = Place {
            file: "gw/a.yaml".into(),
            line: 7,
            column: 9,
            length: 4,
            line_text: "  name: nope".into(),
        };
        Report::new(Severity::Error, "RefNotFound", "provider `nope` is not there")
            .about(Subject {
                kind: "RoutePolicy".into(),
                namespace: "default".into(),
                name: "chat".into(),
            })
            .at(place)
            .help("add it")
    }

    #[test]
    fn a_report_shows_file_line_column_and_carets_below_the_words_meant() {
        let drawn = render(&[report()], Style::Plain);
        assert!(
            drawn.contains("RoutePolicy default/chat: provider `nope` is not there"),
            "{drawn}"
        );
        assert!(drawn.contains("gw/a.yaml:7:9"), "{drawn}");
        assert!(
            drawn.contains("help: add it") && drawn.contains("RefNotFound"),
            "{drawn}"
        );
        let lines: Vec<_> = drawn.lines().collect();
        let source = lines
            .iter()
            .position(|line| line.contains("  name: nope"))
            .expect("the line is shown");
        assert_eq!(lines[source].find("nope"), lines[source + 1].find("^^^^"), "{drawn}");
        assert!(!drawn.contains('\u{1b}'), "plain text has no colour");
        assert!(render(&[report()], Style::Terminal).contains('\u{1b}'));
    }

    #[test]
    fn carets_stand_right_after_letters_of_several_bytes() {
        let place = Place {
            file: "a".into(),
            line: 1,
            column: 6,
            length: 2,
            line_text: "t\u{ea}n: \u{1ea3}\u{1ea3} x".into(),
        };
        let drawn = render(&[report().at(place)], Style::Plain);
        let lines: Vec<_> = drawn.lines().collect();
        let source = lines
            .iter()
            .position(|line| line.contains("t\u{ea}n"))
            .expect("the line is shown");
        let before = |line: &str, letter: char| line.chars().position(|other| other == letter).expect("it is there");
        assert_eq!(
            before(lines[source], '\u{1ea3}'),
            before(lines[source + 1], '^'),
            "{drawn}"
        );
        assert!(
            drawn.contains("[a:1:6]") && lines[source + 1].ends_with(" ^^"),
            "{drawn}"
        );
    }

    #[test]
    fn a_line_too_long_to_show_is_named() {
        let place = Place {
            file: "a.json".into(),
            line: 1,
            column: 9_000,
            length: 1,
            line_text: String::new(),
        };
        let drawn = render(&[report().at(place)], Style::Plain);
        assert!(
            drawn.contains("a.json:1:9000: RoutePolicy default/chat: provider `nope`"),
            "{drawn}"
        );
    }

    #[test]
    fn json_has_places_and_no_source_text() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "severity": "error", "reason": "RefNotFound", "message": "provider `nope` is not there", "help": "add it",
                "object": {"kind": "RoutePolicy", "namespace": "default", "name": "chat"},
                "file": "gw/a.yaml", "line": 7, "column": 9, "length": 4,
            })
        );
    }

    #[test]
    fn the_count_names_only_what_there_is() {
        let warning = Report::new(Severity::Warning, "Shared", "two providers");
        assert_eq!(count(&[report(), report(), warning.clone()]), "2 errors, 1 warning");
        assert_eq!(count(&[warning]), "1 warning");
        assert_eq!(count(&[]), "");
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        assert_eq!(Style::of(true, &|_| None), Style::Terminal);
        assert_eq!(Style::of(false, &|_| None), Style::Plain);
        assert_eq!(
            Style::of(true, &|name| (name == "NO_COLOR").then(|| "1".into())),
            Style::Plain
        );
    }
}
