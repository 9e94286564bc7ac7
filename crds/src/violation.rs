//! Why a manifest is refused, and where: in words like the API server's, with a pointer for whoever knows the source text.
//!
//! Values are repeated only where they are short: people paste keys into the wrong field, and a message ends up in logs.

use std::fmt;

/// One reason why the API server would refuse an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, as people write it: `spec.targets[0].provider.model`. Empty for the object as a whole.
    pub path: String,
    /// Where, as the segments of a JSON pointer: `["spec", "targets", "0", "provider", "model"]`. May name a field that is
    /// not there (a required one); its longest existing prefix is then the place.
    pub pointer: Vec<String>,
    /// What is wrong, without the path.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// A place within an object, linked to its parent on the stack so that good objects cost no allocation.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The object itself.
    Root,
    /// A field of an object.
    Field(&'a Path<'a>, &'a str),
    /// An entry of a map, whose key is data.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    pub(crate) fn violation(&self, message: impl Into<String>) -> Violation {
        let mut pointer = Vec::new();
        self.push_segments(&mut pointer);
        Violation {
            path: self.to_string(),
            pointer,
            message: message.into(),
        }
    }

    fn push_segments(&self, segments: &mut Vec<String>) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) | Self::Key(parent, name) => {
                parent.push_segments(segments);
                segments.push((*name).to_owned());
            }
            Self::Item(parent, index) => {
                parent.push_segments(segments);
                segments.push(index.to_string());
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) | Self::Key(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The longest value that a message repeats, in characters: longer than any enum value or amount, shorter than any key.
const SHOWN_LENGTH_MAX: usize = 24;

/// A text as a message shows it: quoted while short, otherwise only that it is a string.
pub(crate) fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN_LENGTH_MAX {
        format!("{text:?}")
    } else {
        "\"…\"".to_owned()
    }
}
