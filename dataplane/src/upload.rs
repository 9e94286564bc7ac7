//! A client's form on its way to a provider: never held whole, its part `model` read, rewritten and kept unique.
//!
//! The model must stand within the first mebibyte, since nothing can be planned before it is known, or in the header
//! `x-headgate-model`. In that case the part is written at the front, and one that comes late is taken out. A second one
//! breaks the upload: the provider might serve that.
//!
//! Where the form brings a file to be stored, it is the file's name that is sought and written into; the same holds of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use headgate_llm::multipart::{FilePart, FormError, ModelPart, Scanner, Step};
use headgate_llm::request::{BadRequest, MODEL_LENGTH_MAX};
use headgate_llm::stored::batch_file::BatchFile;

use crate::body::content_length;
use crate::deadline::MovingDeadline;
use crate::pipeline::RequestBody;
use crate::refusal::Refusal;
use crate::upstream::request_body::UploadFailed;

#[cfg(test)]
mod tests;

/// How far the model is sought, or the file.
const SEARCH_BYTES_MAX: usize = 1024 * 1024;
/// The largest upload: what the largest file endpoint in use takes.
pub const UPLOAD_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// How long an upload may take as a whole: the largest one at some ten megabits a second.
const TOTAL: Duration = Duration::from_secs(600);

static MODEL_HEADER: HeaderName = HeaderName::from_static("x-headgate-model");

/// What of a form must be known before it can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The model it asks for.
    Model,
    /// Nothing: the provider has a model of its own.
    Nothing,
    /// The name of the file that it brings.
    File,
}

/// A form whose beginning was read.
pub struct Form<B> {
    /// The model it asks for; empty: none, and none is needed.
    pub model: String,
    beginning: Beginning,
    rest: Rest<B>,
}

/// What was read so far.
struct Beginning {
    bytes: Bytes,
    /// Where the value of `model` stands in `bytes`.
    value: Option<std::ops::Range<usize>>,
    /// Where the file's name stands in `bytes`.
    filenames: Vec<usize>,
    /// What the client says of the whole length.
    length: Option<u64>,
}

/// What is still to come.
struct Rest<B> {
    body: B,
    deadline: MovingDeadline,
    scanner: Scanner,
    sought: Sought,
    model: ModelPart,
    file: FilePart,
    batch_file: BatchFile,
    steps: Vec<Step>,
    read: u64,
    late: Option<Late>,
}

/// Takes a late part out: what is not understood yet is held back.
#[derive(Default)]
struct Late {
    held: BytesMut,
    held_start: u64,
}

impl<B: RequestBody> Form<B> {
    /// Reads as far as what is sought; a form without it is refused.
    pub async fn read(headers: &HeaderMap, body: B, idle: Duration, sought: Sought) -> Result<Self, Refusal> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .map_or(&b""[..], |value| value.as_bytes());
        let scanner = Scanner::new(content_type).ok_or(Refusal::UnsupportedMediaType)?;
        let length = content_length(headers);
        if length.is_some_and(|length| length > UPLOAD_BYTES_MAX) {
            return Err(too_large());
        }
        let mut rest = Rest {
            body,
            deadline: MovingDeadline::within(idle, TOTAL),
            scanner,
            sought,
            model: ModelPart::default(),
            file: FilePart::default(),
            batch_file: BatchFile::default(),
            steps: Vec::new(),
            read: 0,
            late: None,
        };
        let named = named_model(headers)?;
        let mut bytes = BytesMut::new();
        while rest.is_searching() && bytes.len() < SEARCH_BYTES_MAX {
            let Some(next) = std::future::poll_fn(|cx| rest.poll_next(cx)).await? else {
                break;
            };
            bytes.extend_from_slice(&next);
        }
        let bytes = bytes.freeze();
        let value = rest
            .model
            .value
            .clone()
            .map(|value| index(value.start)..index(value.end));
        let model = match (&value, named) {
            (Some(value), _) => text(&bytes[value.clone()])?,
            (None, Some(named)) => named,
            (None, None) if sought == Sought::Model => return Err(no_model()),
            (None, None) => String::new(),
        };
        let filenames: Vec<_> = rest.file.filenames.iter().copied().map(index).collect();
        if sought == Sought::File && filenames.is_empty() {
            return Err(no_file());
        }
        Ok(Self {
            model,
            beginning: Beginning {
                bytes,
                value,
                filenames,
                length,
            },
            rest,
        })
    }
}

impl<B: RequestBody + 'static> Form<B> {
    /// The form as the provider gets it, with its own name of the model, and where the reason stands if it breaks off.
    pub fn into_upload(self, upstream_model: &str) -> (Upload<B>, Course) {
        let Self {
            model: _,
            beginning:
                Beginning {
                    bytes,
                    value,
                    filenames: _,
                    length,
                },
            mut rest,
        } = self;
        let (ready, length) = match value {
            Some(value) => {
                let own = Bytes::copy_from_slice(upstream_model.as_bytes());
                let grown = length.map(|length| length + own.len() as u64);
                let length = grown.and_then(|grown| grown.checked_sub(value.len() as u64));
                (vec![bytes.slice(..value.start), own, bytes.slice(value.end..)], length)
            }
            None if upstream_model.is_empty() => (vec![bytes], length),
            None => {
                let own = model_part(rest.scanner.boundary(), upstream_model);
                let mut late = Late::default();
                let passed = late.pass(&bytes, &rest.scanner, &rest.model);
                rest.late = Some(late);
                (vec![own, passed], None) // whether a part will be taken out is not known yet
            }
        };
        Upload::of(ready, length, rest)
    }

    /// The form with `mark` before the name of its file, and where the reason stands if it breaks off.
    pub fn into_marked_upload(self, mark: &str) -> (Upload<B>, Course) {
        let Self {
            model: _,
            beginning:
                Beginning {
                    mut bytes,
                    value: _,
                    filenames,
                    length,
                },
            rest,
        } = self;
        let mark = Bytes::copy_from_slice(mark.as_bytes());
        let length = length.map(|length| length + (filenames.len() * mark.len()) as u64);
        let mut ready = Vec::with_capacity(2 * filenames.len() + 1);
        let mut passed = 0;
        for place in filenames {
            ready.extend([bytes.split_to(place - passed), mark.clone()]);
            passed = place;
        }
        ready.push(bytes);
        Upload::of(ready, length, rest)
    }
}

/// How an upload goes, for whoever answers the client: why it broke off, and when it last moved.
#[derive(Clone, Default)]
pub struct Course(Arc<Mutex<Steps>>);

#[derive(Default)]
struct Steps {
    refusal: Option<Refusal>,
    moved_at: Option<Instant>,
}

impl Course {
    /// Course it broke off, if the fault is the client's.
    pub fn take_refusal(&self) -> Option<Refusal> {
        self.lock().refusal.take()
    }

    /// When bytes last went on to the provider; `None`: none have.
    pub fn moved_at(&self) -> Option<Instant> {
        self.lock().moved_at
    }

    fn moved(&self) {
        self.lock().moved_at = Some(Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A form that passes.
pub struct Upload<B> {
    ready: VecDeque<Bytes>,
    length: Option<u64>,
    rest: Rest<B>,
    course: Course,
}

impl<B> Upload<B> {
    fn of(ready: Vec<Bytes>, length: Option<u64>, rest: Rest<B>) -> (Self, Course) {
        let course = Course::default();
        let upload = Self {
            ready: ready.into_iter().filter(|bytes| !bytes.is_empty()).collect(),
            length,
            rest,
            course: course.clone(),
        };
        (upload, course)
    }
}

impl<B: RequestBody> Body for Upload<B> {
    type Data = Bytes;
    type Error = UploadFailed;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        let this = self.get_mut();
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                this.course.moved();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match ready!(this.rest.poll_next(cx)) {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(bytes) => {
                    this.course.moved();
                    return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
                }
                Err(refusal) => {
                    this.course.lock().refusal = Some(refusal);
                    return Poll::Ready(Some(Err(UploadFailed)));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<B: RequestBody> Rest<B> {
    /// The next bytes that may pass.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => return self.deadline.poll(cx).map(|_| Err(Refusal::BodyTimeout)),
            Poll::Ready(None) => {
                let held = self.late.as_mut().map(|late| late.held.split().freeze());
                return Poll::Ready(Ok(held.filter(|held| !held.is_empty())));
            }
            Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Refusal::BodyCut)),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        self.deadline.restart();
        let bytes = frame.into_data().unwrap_or_default(); // trailers say nothing we read
        Poll::Ready(self.scan(&bytes).map(|()| {
            Some(match &mut self.late {
                Some(late) => late.pass(&bytes, &self.scanner, &self.model),
                None => bytes,
            })
        }))
    }

    fn is_searching(&self) -> bool {
        match self.sought {
            Sought::Model => self.model.value.is_none() && !self.model.has_ended,
            Sought::Nothing => false,
            Sought::File => self.file.filenames.is_empty() && !self.file.has_ended,
        }
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let start = self.read;
        self.read += bytes.len() as u64;
        if self.read > UPLOAD_BYTES_MAX {
            return Err(too_large());
        }
        let scanned = self.scanner.push(bytes, &mut self.steps);
        if self.sought == Sought::File {
            self.batch_file.push(start, bytes, &self.steps);
            self.file.see(self.steps.drain(..));
        } else {
            self.model.see(self.steps.drain(..));
        }
        scanned.map_err(|error| unreadable(&error))?;
        if self.model.is_repeated {
            return Err(repeated());
        }
        if self.file.is_repeated {
            return Err(second_file());
        }
        if let Some(name) = self.batch_file.names() {
            return Err(named_in_batch(name));
        }
        Ok(())
    }
}

impl Late {
    /// What of the form may go on now that `bytes` of it have been scanned.
    fn pass(&mut self, bytes: &[u8], scanner: &Scanner, model: &ModelPart) -> Bytes {
        self.held.extend_from_slice(bytes);
        let until = model.open_since().unwrap_or(scanner.understood());
        let mut passed = BytesMut::new();
        if let Some(part) = model.part.as_ref().filter(|part| part.end > self.held_start) {
            passed.extend_from_slice(&self.take(part.start));
            self.take(part.end);
        }
        passed.extend_from_slice(&self.take(until));
        passed.freeze()
    }

    /// What is held before this offset.
    fn take(&mut self, until: u64) -> BytesMut {
        let length = usize::try_from(until.saturating_sub(self.held_start)).unwrap_or(usize::MAX);
        let taken = self.held.split_to(length.min(self.held.len()));
        self.held_start += taken.len() as u64;
        taken
    }
}

fn named_model(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    headers
        .get(&MODEL_HEADER)
        .map(|value| text(value.as_bytes()))
        .transpose()
}

fn text(value: &[u8]) -> Result<String, Refusal> {
    let text = std::str::from_utf8(value).ok().map(str::trim);
    match text {
        Some(text) if !text.is_empty() && text.chars().count() <= MODEL_LENGTH_MAX => Ok(text.to_owned()),
        _ => Err(bad(
            "invalid_value",
            format!("`model` must have 1 to {MODEL_LENGTH_MAX} characters"),
        )),
    }
}

fn model_part(boundary: &[u8], model: &str) -> Bytes {
    let head = b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
    [b"--", boundary, head.as_slice(), model.as_bytes(), b"\r\n"]
        .concat()
        .into()
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("the model is sought in the first mebibyte")
}

fn too_large() -> Refusal {
    Refusal::BodyTooLarge(usize::try_from(UPLOAD_BYTES_MAX).unwrap_or(usize::MAX))
}

fn no_model() -> Refusal {
    bad(
        "missing_field",
        "the form names no `model` within its first mebibyte; send that part first, or name the model in the header \
         x-headgate-model"
            .to_owned(),
    )
}

fn no_file() -> Refusal {
    bad_file(
        "missing_field",
        "the form brings no `file` with a name within its first mebibyte; send that part first, or right behind `purpose`",
    )
}

fn second_file() -> Refusal {
    bad_file(
        "duplicate_field",
        "the form brings a second file; send each in a form of its own",
    )
}

fn named_in_batch(name: &str) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code: "stored_object_in_batch",
        param: Some("file".to_owned()),
        message: format!(
            "a line of the batch names what is stored by `{name}`, and ids of this gateway mean nothing there; put the \
             content itself into the line"
        ),
    })
}

fn bad_file(code: &'static str, message: &str) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code,
        param: Some("file".to_owned()),
        message: message.to_owned(),
    })
}

fn repeated() -> Refusal {
    bad(
        "duplicate_field",
        "the form has a second `model`; send it once, before the file, or in the header x-headgate-model and not in the \
         form"
            .to_owned(),
    )
}

fn unreadable(error: &FormError) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code: "invalid_form",
        param: None,
        message: error.to_string(),
    })
}

fn bad(code: &'static str, message: String) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code,
        param: Some("model".to_owned()),
        message,
    })
}
