//! Two spellings of one field: the JSON pointer by which values are found (`/spec/models/2/price`), and the path that
//! people read (`spec.models[2].price`).

/// The path of a pointer.
pub(super) fn path(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len());
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty() {
            path.push('[');
            path += &part;
            path.push(']');
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path += &part;
        }
    }
    path
}

/// The pointer of a path; a leading dot is allowed, as the API server writes one.
pub(super) fn pointer(path: &str) -> String {
    let mut pointer = String::with_capacity(path.len() + 1);
    for part in path.split('.').filter(|part| !part.is_empty()) {
        for piece in part.split('[') {
            let piece = piece.strip_suffix(']').unwrap_or(piece);
            if !piece.is_empty() {
                pointer.push('/');
                pointer += &piece.replace('~', "~0").replace('/', "~1");
            }
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_spelt_both_ways() {
        for (at, written) in [
            ("/spec/models/2/price", "spec.models[2].price"),
            ("/a~1b/0/1", "a/b[0][1]"),
            ("", ""),
        ] {
            assert_eq!(path(at), written);
            assert_eq!(pointer(written), at);
        }
        assert_eq!(pointer(".spec.models[0]"), "/spec/models/0");
    }
}
