//! `multipart/form-data` (RFC 7578) while it passes: which parts it has and where they stand, without holding it.
//!
//! Uploads are relayed as they arrive; all that the gateway must know is the part named `model`, or the one that is a file,
//! and that there is no second one: two readers of the form could take different values, the gateway the one that it
//! authorises and the provider the one that it serves. A name that two readers could read differently is refused for the
//! same reason.

use std::ops::Range;

use memchr::memmem;

/// Longest head of one part; those of SDKs have some 200 bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_LENGTH_MAX: usize = 70;

/// Why a form cannot be read. The words are for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The head of a part has no end.
    #[error("a part of the form has a head above {HEAD_BYTES_MAX} bytes; shorten it")]
    LongHead,
    /// `content-disposition` can be read in two ways.
    #[error("a part of the form has a name that can be read in two ways; write it as `name=\"…\"`, once")]
    AmbiguousName,
    /// `content-transfer-encoding`: who decodes it reads another value than who does not.
    #[error("a part of the form has a content-transfer-encoding; send it as it is, without that header")]
    Encoded,
}

/// A step of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part begins. Offsets count from the beginning of the form.
    Part {
        /// `name` of its `content-disposition`; empty: it has none.
        name: String,
        /// Where the line break before its delimiter stands.
        part_start: u64,
        /// Where its value starts.
        value_start: u64,
        /// Where `filename` stands, in each form that is there; none: it is no file.
        filenames: Vec<u64>,
    },
    /// A part ends.
    PartEnd {
        /// Where its value ends, and the line break before the next delimiter stands.
        value_end: u64,
    },
    /// The form is whole; what follows is no part of it.
    End,
}

/// Reads a form that arrives in pieces.
#[derive(Debug)]
pub struct Scanner {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    /// What was not scanned yet; never longer than a head and a delimiter.
    window: Vec<u8>,
    /// Where `window` begins, two more than in the form: the form is read as if a line break stood before it.
    window_start: u64,
    /// Where the last delimiter stood.
    delimiter_start: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Behind a delimiter.
    Head,
    /// In the value of a part.
    Value,
    /// Behind the last delimiter.
    End,
}

/// A line break that stands before the form only in our reading.
const LINE_BREAK: &[u8] = b"\r\n";

impl Scanner {
    /// For a form of this `content-type`; `None`: it is no form, or names no boundary that could be one.
    pub fn new(content_type: &[u8]) -> Option<Self> {
        let boundary = boundary(content_type)?;
        Some(Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            window: LINE_BREAK.to_vec(),
            window_start: 0,
            delimiter_start: 0,
            state: State::Preamble,
        })
    }

    /// The boundary, as it stands before each part behind `--`.
    pub fn boundary(&self) -> &[u8] {
        &self.delimiter[4..]
    }

    /// Takes what arrived, however it was cut; appends what it shows to `steps`.
    pub fn push(&mut self, bytes: &[u8], steps: &mut Vec<Step>) -> Result<(), FormError> {
        self.window.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(length) = self.step(at, steps)? {
            at += length;
        }
        self.drop_scanned(at);
        Ok(())
    }

    /// Reads on from `at` in the window; how far it came, or `None` if more is needed first.
    fn step(&mut self, at: usize, steps: &mut Vec<Step>) -> Result<Option<usize>, FormError> {
        let rest = &self.window[at..];
        match self.state {
            State::End => Ok(None),
            State::Preamble | State::Value => {
                let Some(found) = memmem::find(rest, &self.delimiter) else {
                    return Ok(None);
                };
                self.delimiter_start = self.offset(at + found);
                if self.state == State::Value {
                    let value_end = self.delimiter_start;
                    steps.push(Step::PartEnd { value_end });
                }
                self.state = State::Head;
                Ok(Some(found + self.delimiter.len()))
            }
            State::Head => {
                if rest.starts_with(b"--") {
                    let length = rest.len();
                    self.state = State::End;
                    steps.push(Step::End);
                    return Ok(Some(length));
                }
                let Some(end) = memmem::find(rest, b"\r\n\r\n") else {
                    let too_long = rest.len() > HEAD_BYTES_MAX;
                    return if too_long { Err(FormError::LongHead) } else { Ok(None) };
                };
                let length = end + 4;
                let Disposition { name, filenames } = disposition(&rest[..end])?;
                steps.push(Step::Part {
                    name,
                    part_start: self.delimiter_start,
                    value_start: self.offset(at + length),
                    filenames: filenames.into_iter().map(|place| self.offset(at + place)).collect(),
                });
                self.state = State::Value;
                Ok(Some(length))
            }
        }
    }

    /// Up to where the form is understood: what stands before it belongs to parts that were told of.
    pub fn understood(&self) -> u64 {
        match self.state {
            State::Head => self.delimiter_start,
            State::Preamble | State::Value => self.offset(0),
            State::End => self.offset(self.window.len()),
        }
    }

    fn offset(&self, in_window: usize) -> u64 {
        (self.window_start + in_window as u64).saturating_sub(LINE_BREAK.len() as u64)
    }

    /// Keeps what may still be the beginning of a delimiter, or of a head.
    fn drop_scanned(&mut self, at: usize) {
        let keep = match self.state {
            State::End => 0,
            State::Head => self.window.len() - at,
            State::Preamble | State::Value => (self.window.len() - at).min(self.delimiter.len() - 1),
        };
        let drop = self.window.len() - keep;
        self.window.drain(..drop);
        self.window_start += drop as u64;
    }
}

/// `boundary` of a `multipart/form-data` type.
fn boundary(content_type: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content_type).ok()?;
    let (essence, parameters) = text.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let parameters = parameters_of(parameters)?;
    let mut boundaries = parameters.into_iter().filter(|parameter| parameter.name == "boundary");
    let boundary = boundaries.next()?.value;
    let is_one = boundaries.next().is_none() && (1..=BOUNDARY_LENGTH_MAX).contains(&boundary.len());
    (is_one && boundary.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')).then_some(boundary)
}

/// What a part's head says of it.
struct Disposition {
    name: String,
    /// Where names of a file begin in the head.
    filenames: Vec<usize>,
}

fn disposition(head: &[u8]) -> Result<Disposition, FormError> {
    // Only ASCII matters here, and each byte stays one, so that places are those in the form.
    let ascii = |byte: &u8| char::from(if byte.is_ascii() { *byte } else { b'?' });
    let head: String = head.iter().map(ascii).collect();
    let mut found = None;
    let mut filenames = Vec::new();
    let mut line_end = 0;
    for line in head.split("\r\n") {
        line_end += line.len();
        let is_folded = line.starts_with([' ', '\t']);
        // A folded line is another one to those readers who do not fold.
        if is_folded {
            return Err(FormError::AmbiguousName);
        }
        let header = line.split_once(':').unwrap_or_default();
        if is_encoding(header) {
            return Err(FormError::Encoded);
        }
        if header.0.trim().eq_ignore_ascii_case("content-disposition") {
            let (_, value) = header;
            let parameters = value.split_once(';').map_or("", |(_, parameters)| parameters);
            let start = line_end - parameters.len();
            for parameter in parameters_of(parameters).ok_or(FormError::AmbiguousName)? {
                match parameter.name.as_str() {
                    "name" if found.is_none() => found = Some(parameter.value),
                    "name" | "name*" => return Err(FormError::AmbiguousName),
                    "filename" => filenames.push(start + parameter.place),
                    "filename*" => {
                        // `utf-8'en'name` (RFC 8187).
                        let name = parameter.value.rsplit('\'').next().unwrap_or_default();
                        filenames.push(start + parameter.place + parameter.value.len() - name.len());
                    }
                    _ => {}
                }
            }
        }
        line_end += LINE_BREAK.len();
    }
    Ok(Disposition {
        name: found.unwrap_or_default(),
        filenames,
    })
}

/// Whether a header says that the value is not what it is. That of a form should not stand there at all (RFC 7578, section
/// 4.7); these three change nothing, and older clients write them.
fn is_encoding((name, value): (&str, &str)) -> bool {
    let changes_nothing = ["binary", "8bit", "7bit"].map(|word| word.eq_ignore_ascii_case(value.trim()));
    name.trim().eq_ignore_ascii_case("content-transfer-encoding") && !changes_nothing.contains(&true)
}

struct Parameter {
    /// In small letters.
    name: String,
    /// Without its quotes.
    value: String,
    /// Where the value begins, behind a quote.
    place: usize,
}

/// `a=b; c="d"`. `None`: it is not of that form.
fn parameters_of(text: &str) -> Option<Vec<Parameter>> {
    let mut parameters = Vec::new();
    let all = text.trim_end();
    let mut rest = all.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (value, place, behind) = if let Some(quoted) = behind.strip_prefix('"') {
            let (value, behind) = unquoted(quoted)?;
            (value, all.len() - quoted.len(), behind)
        } else {
            let end = behind.find(';').unwrap_or(behind.len());
            (
                behind[..end].trim_end().to_owned(),
                all.len() - behind.len(),
                &behind[end..],
            )
        };
        let name = name.trim().to_ascii_lowercase();
        parameters.push(Parameter { name, value, place });
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(';') {
            Some(more) => more.trim_start(),
            None if behind.is_empty() => "",
            None => return None,
        };
    }
    Some(parameters)
}

/// What stands before the closing quote, and what behind it. A backslash takes the next character as it is; browsers write
/// a quote as `%22` instead, which stays.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Where in a form the part `model` stands.
#[derive(Debug, Default)]
pub struct ModelPart {
    open: Option<(u64, u64)>,
    /// From the line break before its delimiter to that before the next, once it is whole.
    pub part: Option<Range<u64>>,
    /// The value, once it is whole.
    pub value: Option<Range<u64>>,
    /// A second one was seen.
    pub is_repeated: bool,
    /// The form has ended.
    pub has_ended: bool,
}

impl ModelPart {
    /// Where the part begins that is not whole yet.
    pub fn open_since(&self) -> Option<u64> {
        self.open.map(|(part_start, _)| part_start)
    }

    /// Takes the steps of a form in order.
    pub fn see(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            match step {
                // Readers that ignore case would take the other spelling.
                Step::Part {
                    name,
                    part_start,
                    value_start,
                    filenames: _,
                } if name.eq_ignore_ascii_case("model") => {
                    self.is_repeated |= self.value.is_some() || name != "model";
                    self.open = Some((part_start, value_start));
                }
                Step::Part { .. } => {}
                Step::PartEnd { value_end } => {
                    if let Some((part_start, value_start)) = self.open.take() {
                        self.value.get_or_insert(value_start..value_end);
                        self.part.get_or_insert(part_start..value_end);
                    }
                }
                Step::End => self.has_ended = true,
            }
        }
    }
}

/// Where in a form the file stands.
#[derive(Debug, Default)]
pub struct FilePart {
    /// Where its name begins, in each form in which it has one; empty before it was seen.
    pub filenames: Vec<u64>,
    /// A second one was seen.
    pub is_repeated: bool,
    /// The form has ended.
    pub has_ended: bool,
}

impl FilePart {
    /// Takes the steps of a form in order.
    pub fn see(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            match step {
                Step::Part { filenames, .. } if !filenames.is_empty() => {
                    self.is_repeated |= !self.filenames.is_empty();
                    self.filenames = filenames;
                }
                Step::Part { .. } | Step::PartEnd { .. } => {}
                Step::End => self.has_ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=xyz";

    fn steps_of(form: &[u8], piece: usize) -> Result<Vec<Step>, FormError> {
        let mut scanner = Scanner::new(TYPE).expect("a form");
        let mut steps = Vec::new();
        for bytes in form.chunks(piece) {
            scanner.push(bytes, &mut steps)?;
        }
        Ok(steps)
    }

    fn model_in(form: &str) -> Option<String> {
        let mut part = ModelPart::default();
        part.see(steps_of(form.as_bytes(), 7).expect("a form"));
        let Range { start, end } = part.value?;
        let index = |offset: u64| usize::try_from(offset).expect("small");
        Some(form[index(start)..index(end)].to_owned())
    }

    fn part(disposition: &str, value: &str) -> String {
        format!("--xyz\r\nContent-Disposition: {disposition}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn the_model_is_found_wherever_it_stands_and_however_the_form_is_cut() {
        let file = part(
            "form-data; name=\"file\"; filename=\"a;name=model\"",
            "--xy\r\n--xyzz no",
        );
        let form = format!("{file}{}--xyz--\r\n", part("form-data; name=\"model\"", "whisper-1"));
        assert_eq!(model_in(&form).as_deref(), Some("whisper-1"));
        let whole = steps_of(form.as_bytes(), form.len()).expect("a form");
        assert_eq!(whole.len(), 5);
        for piece in 1..form.len() {
            assert_eq!(
                steps_of(form.as_bytes(), piece).expect("a form"),
                whole,
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn an_empty_value_and_a_preamble_are_read_right() {
        let form = format!("preamble\r\n{}--xyz--", part("form-data; name=model", ""));
        assert_eq!(model_in(&form).as_deref(), Some(""));
        assert_eq!(
            model_in("--xyz--\r\n--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n--xyz--"),
            None
        );
    }

    #[test]
    fn a_second_model_and_another_spelling_of_it_are_noticed() {
        let twice = |name: &str| {
            let mut seen = ModelPart::default();
            let form = part("form-data; name=\"model\"", "a") + &part(&format!("form-data; name=\"{name}\""), "b");
            seen.see(steps_of(form.as_bytes(), 3).expect("a form"));
            seen.is_repeated
        };
        assert!(twice("model") && twice("Model"));
        assert!(!twice("models"));
    }

    #[test]
    fn the_names_of_a_file_are_found_in_every_form() {
        for (disposition, marked) in [
            (
                "form-data; name=\"file\"; filename=\"a.jsonl\"",
                "form-data; name=\"file\"; filename=\"!a.jsonl\"",
            ),
            (
                "form-data; filename=\"\\\"a\"; name=\"file\"",
                "form-data; filename=\"!\\\"a\"; name=\"file\"",
            ),
            ("form-data; name=é; filename= é ", "form-data; name=é; filename= !é "),
            (
                "form-data;name=f;filename=\"a\"; filename*=utf-8''%61",
                "form-data;name=f;filename=\"!a\"; filename*=utf-8''!%61",
            ),
        ] {
            let form = format!("--xyz\r\nX: y\r\n{}", &part(disposition, "v")[7..]) + "--xyz--";
            let mut file = FilePart::default();
            file.see(steps_of(form.as_bytes(), 5).expect("a form"));
            let mut text = form.clone();
            for place in file.filenames.iter().rev() {
                text.insert(usize::try_from(*place).expect("small"), '!');
            }
            assert_eq!(text, form.replace(disposition, marked));
            assert!(file.has_ended && !file.is_repeated);
            file.see(steps_of(form.as_bytes(), 5).expect("a form"));
            assert!(file.is_repeated);
        }
        let mut none = FilePart::default();
        none.see(steps_of(part("form-data; name=\"filename\"", "x").as_bytes(), 5).expect("a form"));
        assert!(none.filenames.is_empty());
    }

    #[test]
    fn a_name_that_two_readers_would_read_differently_is_refused() {
        for disposition in [
            "form-data; name=\"a\"; name=\"model\"",
            "form-data; name*=utf-8''model",
            "form-data; name=\"model",
            "form-data; name=\"a\"\r\n ; name=\"model\"",
            "form-data; name=\"a\" model",
        ] {
            let refused = steps_of(part(disposition, "x").as_bytes(), 5);
            assert_eq!(refused, Err(FormError::AmbiguousName), "{disposition}");
        }
        for (encoding, is_refused) in [("base64", true), ("quoted-printable", true), ("Binary", false)] {
            let form = part("form-data; name=\"a\"", "x").replace(
                "\r\n\r\n",
                &format!("\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"),
            );
            let refused = steps_of(form.as_bytes(), 5) == Err(FormError::Encoded);
            assert_eq!(refused, is_refused, "{encoding}");
        }
        let endless = format!("--xyz\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(steps_of(endless.as_bytes(), 1000), Err(FormError::LongHead));
    }

    #[test]
    fn only_a_form_with_one_sane_boundary_is_one() {
        for good in [
            "multipart/form-data; boundary=x",
            "Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"",
        ] {
            assert!(Scanner::new(good.as_bytes()).is_some(), "{good}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for bad in [
            "multipart/form-data",
            "multipart/mixed; boundary=x",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "application/json",
            &long,
        ] {
            assert!(Scanner::new(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
