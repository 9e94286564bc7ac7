//! `multipart/form-data`, as far as uploads need it.

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) filename: Option<&'a str>,
    pub(super) bytes: &'a [u8],
}

/// The parts of a body whose content type is `kind`; empty when it is no form.
pub(super) fn parts<'a>(kind: &str, body: &'a [u8]) -> Vec<Part<'a>> {
    let Some(boundary) = boundary(kind) else {
        return Vec::new();
    };
    let delimiter = format!("--{boundary}").into_bytes();
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&body[at..], &delimiter) {
        starts.push(at + found);
        at += found + delimiter.len();
    }
    starts
        .windows(2)
        .filter_map(|pair| part(&body[pair[0] + delimiter.len()..pair[1]]))
        .collect()
}

fn boundary(kind: &str) -> Option<&str> {
    let (name, rest) = kind.split_once(';')?;
    if !name.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = rest.split(';').find_map(|item| item.trim().strip_prefix("boundary="))?;
    Some(value.trim_matches('"'))
}

/// What stands between two delimiters: a line end, headers, an empty line, bytes, a line end.
fn part(between: &[u8]) -> Option<Part<'_>> {
    let between = between.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n")?;
    let head_end = find(between, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&between[..head_end]).ok()?;
    let disposition = head
        .split("\r\n")
        .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let parameter = |name: &str| {
        let (_, rest) = disposition.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    Some(Part {
        name: parameter("name")?,
        filename: parameter("filename"),
        bytes: &between[head_end + 4..],
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_read() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nchat\r\n--x\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRI\r\nFF\r\n--x--\r\n";
        let parts = parts("multipart/form-data; boundary=x", body);
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].name, parts[0].bytes), ("model", &b"chat"[..]));
        assert_eq!(parts[1].filename, Some("a.wav"));
        assert_eq!(parts[1].bytes, b"RI\r\nFF");
    }

    #[test]
    fn json_is_no_form() {
        assert_eq!(parts("application/json", b"{}"), []);
    }
}
