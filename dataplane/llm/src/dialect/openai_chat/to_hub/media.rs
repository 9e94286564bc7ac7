//! Where a picture or a document is: a URL that the provider may fetch, or bytes in the request itself.
//!
//! A data URL is read strictly. Half-broken ones reach models as noise that somebody pays for, or crash what decodes
//! them; and base64 with line breaks is read differently by different decoders.

use std::borrow::Cow;

use crate::hub::Media;

/// Schemes under which providers find media themselves; the gateway fetches none of them.
const SCHEMES: [&str; 4] = ["https://", "http://", "gs://", "s3://"];

/// What a URL points to; the words say what is wrong with it otherwise.
pub(in crate::dialect) fn of_url<'a>(
    url: Cow<'a, str>,
    mime_type: Option<Cow<'a, str>>,
) -> Result<Media<'a>, &'static str> {
    if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return of_data_url(url);
    }
    if SCHEMES.iter().any(|scheme| starts_with(&url, scheme)) {
        return Ok(Media::Url { url, mime_type });
    }
    Err("must be a URL with https://, or a data URL")
}

/// `data:image/png;base64,…`. Parameters of the type, as `;charset=utf-8`, say nothing to models and are left out.
fn of_data_url(url: Cow<'_, str>) -> Result<Media<'_>, &'static str> {
    const WANTED: &str = "must be a data URL such as `data:image/png;base64,…`";
    let comma = url.find(',').ok_or(WANTED)?;
    let head = url[5..comma].strip_suffix(";base64").ok_or(WANTED)?;
    let length = head.find(';').unwrap_or(head.len());
    if !is_mime_type(&head[..length]) {
        return Err(WANTED);
    }
    if !is_base64(&url.as_bytes()[comma + 1..]) {
        return Err("must hold standard base64 with its padding and without line breaks");
    }
    let (mime_type, base64) = match url {
        Cow::Borrowed(url) => (Cow::Borrowed(&url[5..5 + length]), Cow::Borrowed(&url[comma + 1..])),
        Cow::Owned(mut url) => {
            let base64 = url.split_off(comma + 1);
            (Cow::Owned(url[5..5 + length].to_owned()), Cow::Owned(base64))
        }
    };
    Ok(Media::Inline {
        mime_type: lower_case(mime_type),
        base64,
    })
}

/// Bytes of a document: a data URL, or bare base64 of the type that is said beside it, else PDF, as providers assume.
pub(in crate::dialect) fn of_file_data<'a>(
    data: Cow<'a, str>,
    mime_type: Option<Cow<'a, str>>,
) -> Result<Media<'a>, &'static str> {
    if data.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return of_data_url(data);
    }
    if !is_base64(data.as_bytes()) {
        return Err("must be a data URL, or standard base64 with its padding and without line breaks");
    }
    let mime_type = mime_type.filter(|mime_type| is_mime_type(mime_type));
    Ok(Media::Inline {
        mime_type: mime_type.map_or(Cow::Borrowed("application/pdf"), lower_case),
        base64: data,
    })
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

pub(in crate::dialect) fn lower_case(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

/// `type/subtype` in the characters that RFC 6838 allows.
fn is_mime_type(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/')
        .is_some_and(|(family, subtype)| is_name(family) && is_name(subtype))
}

/// Standard base64 (RFC 4648, section 4): padded, not empty. The bits that padding leaves over are not looked at.
pub(in crate::dialect) fn is_base64(text: &[u8]) -> bool {
    let (digits, padding) = match text {
        [digits @ .., b'=', b'='] => (digits, 2),
        [digits @ .., b'='] => (digits, 1),
        digits => (digits, 0),
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    !digits.is_empty() && (digits.len() + padding).is_multiple_of(4) && digits.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(url: &str) -> Option<(String, String)> {
        match of_url(Cow::Owned(url.to_owned()), None).ok()? {
            Media::Inline { mime_type, base64 } => Some((mime_type.into_owned(), base64.into_owned())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_data_url_is_taken_apart_with_or_without_parameters() {
        let png = Some(("image/png".to_owned(), "AAAA".to_owned()));
        assert_eq!(inline("data:image/png;base64,AAAA"), png);
        assert_eq!(inline("DATA:image/PNG;charset=utf-8;name=a;base64,AAAA"), png);
        let borrowed = of_url(Cow::Borrowed("data:image/png;base64,AA=="), None).unwrap();
        assert!(matches!(
            borrowed,
            Media::Inline {
                base64: Cow::Borrowed("AA=="),
                ..
            }
        ));
    }

    #[test]
    fn a_broken_data_url_is_refused() {
        for url in [
            "data:",
            "data:image/png",
            "data:image/png;base64",
            "data:image/png;base64,",
            "data:image/png,AAAA",
            "data:;base64,AAAA",
            "data:png;base64,AAAA",
            "data:image/png;base64,AAA",
            "data:image/png;base64,A===",
            "data:image/png;base64,AA==AAAA",
            "data:image/png;base64,AA A",
            "data:image/png;base64,AA\nA",
            "data:image/png;base64,AA-_",
            "data:image/png;base64,%41AA",
        ] {
            assert_eq!(inline(url), None, "{url}");
        }
    }

    #[test]
    fn other_schemes_than_those_providers_fetch_are_refused() {
        for url in ["", "image.png", "file:///etc/passwd", "javascript:1", "ftp://host/a"] {
            assert!(of_url(Cow::Borrowed(url), None).is_err(), "{url}");
        }
        for url in ["https://host/a.png", "HTTP://host/a", "gs://bucket/a"] {
            assert!(of_url(Cow::Borrowed(url), None).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_document_without_a_type_is_a_pdf() {
        let file = |data, mime: Option<&'static str>| of_file_data(Cow::Borrowed(data), mime.map(Cow::Borrowed));
        let inline = |mime_type: &'static str| Media::Inline {
            mime_type: mime_type.into(),
            base64: "AAAA".into(),
        };
        assert_eq!(file("AAAA", None), Ok(inline("application/pdf")));
        assert_eq!(file("AAAA", Some("text/plain")), Ok(inline("text/plain")));
        assert_eq!(file("data:text/csv;base64,AAAA", None), Ok(inline("text/csv")));
        assert!(file("not base64", None).is_err());
    }
}
