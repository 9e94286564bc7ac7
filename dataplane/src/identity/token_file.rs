//! The files in which a platform keeps tokens of this pod.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use headgate_llm::failure::{Failure, FailureKind};

/// The longest one. Tokens have a few kilobytes.
const BYTES_MAX: u64 = 64 * 1024;

/// Reads one, named by `variable`. Each time anew: it is renewed in place.
pub(super) async fn token_file(path: &Path, variable: &str) -> Result<Zeroizing<String>, Failure> {
    let (opened, named) = (path.to_owned(), variable.to_owned());
    let read = tokio::task::spawn_blocking(move || read_short(&opened)).await;
    let wrong = |why: String| Failure::new(FailureKind::Auth, format!("the file of {named} {why}"));
    match read {
        Ok(Ok(text)) if text.trim_ascii().is_empty() => Err(wrong("is empty".to_owned())),
        Ok(Ok(text)) => Ok(Zeroizing::new(text.trim_ascii().to_owned())),
        Ok(Err(error)) => Err(wrong(format!("cannot be read: {error}"))),
        Err(_) => Err(wrong("could not be read".to_owned())),
    }
}

fn read_short(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
