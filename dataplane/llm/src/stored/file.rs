//! Files: the owner's tag stands before the name of one, since a file has no other place for it. It is written while the
//! form passes, and taken away wherever a client would see it.

use super::TAG_LENGTH;

/// How a marked name begins; the tag and another hyphen follow.
const MARK: &str = "hg-";

/// What is written before a file's name.
pub fn mark(tag: &str) -> String {
    format!("{MARK}{tag}-")
}

/// Tag and name of a file that was marked.
pub fn marked(filename: &str) -> Option<(&str, &str)> {
    let rest = filename.strip_prefix(MARK)?;
    let (tag, rest) = rest.split_at_checked(TAG_LENGTH)?;
    let is_tag = tag
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    Some((tag, rest.strip_prefix('-')?)).filter(|_| is_tag)
}

/// A `content-disposition` without the marks before its names; `None`: there is none.
pub fn without_mark(disposition: &str) -> Option<String> {
    let mut clean = String::with_capacity(disposition.len());
    let mut rest = disposition;
    while let Some(at) = rest.find(MARK) {
        let begins_a_name = rest[..at].ends_with(['=', '"', '\'']);
        let behind = marked(&rest[at..]).filter(|_| begins_a_name).map(|(_, name)| name);
        let skipped = if behind.is_some() { at } else { at + MARK.len() };
        clean.push_str(&rest[..skipped]);
        rest = behind.unwrap_or(&rest[skipped..]);
    }
    clean.push_str(rest);
    (clean.len() < disposition.len()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "0123456789abcde_";

    #[test]
    fn a_mark_is_taken_away_once_and_only_where_it_is_one() {
        let name = mark(TAG) + "train.jsonl";
        assert_eq!(marked(&name), Some((TAG, "train.jsonl")));
        let twice = mark(TAG) + &name;
        assert_eq!(marked(&twice), Some((TAG, name.as_str())));
        for plain in [
            "train.jsonl",
            "hg-",
            "hg-short-x",
            "hg-0123456789abcde.-x",
            "hg-0123456789abcdef",
            "hg-01234567890ế",
        ] {
            assert_eq!(marked(plain), None, "{plain}");
        }
    }

    #[test]
    fn a_download_has_its_own_name() {
        let marked = mark(TAG);
        for (sent, seen) in [
            (
                "attachment; filename=\"MARKa.jsonl\"",
                "attachment; filename=\"a.jsonl\"",
            ),
            (
                "attachment; filename=MARKa; filename*=UTF-8''MARKa",
                "attachment; filename=a; filename*=UTF-8''a",
            ),
        ] {
            assert_eq!(without_mark(&sent.replace("MARK", &marked)).as_deref(), Some(seen));
            assert_eq!(without_mark(seen), None);
        }
        let inside = format!("attachment; filename=\"my {marked}a\"");
        assert_eq!(without_mark(&inside), None);
    }
}
