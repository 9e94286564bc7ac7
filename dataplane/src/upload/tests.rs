//! What a provider gets of a form, and which forms are refused.

use std::convert::Infallible;

use http::HeaderValue;
use http_body_util::{BodyExt, StreamBody};

use super::*;

const MODEL: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nfast\r\n";

fn file(bytes: usize) -> String {
    let content = "x".repeat(bytes);
    format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{content}\r\n")
}

fn headers(more: &[(&'static str, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("multipart/form-data; boundary=b"),
    );
    for (name, value) in more {
        headers.insert(*name, value.parse().expect("a header"));
    }
    headers
}

/// What the provider gets of a form that arrives in pieces, and the length it is told.
async fn sent(form: &str, piece: usize, more: &[(&'static str, String)]) -> Result<(String, Option<u64>), Refusal> {
    let pieces: Vec<_> = form.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
    let frames = pieces.into_iter().map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let form = Form::read(&headers(more), body, Duration::from_secs(1), Sought::Model).await?;
    assert_eq!(form.model, "fast");
    all_of(form.into_upload("whisper-1")).await
}

async fn marked(form: &str, piece: usize) -> Result<(String, Option<u64>), Refusal> {
    let pieces: Vec<_> = form.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
    let frames = pieces.into_iter().map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let length = [("content-length", form.len().to_string())];
    let form = Form::read(&headers(&length), body, Duration::from_secs(1), Sought::File).await?;
    all_of(form.into_marked_upload("hg-")).await
}

async fn all_of<B: RequestBody + 'static>(
    (upload, course): (Upload<B>, Course),
) -> Result<(String, Option<u64>), Refusal> {
    let length = upload.size_hint().exact();
    match upload.collect().await {
        Ok(sent) => Ok((String::from_utf8(sent.to_bytes().to_vec()).expect("text"), length)),
        Err(UploadFailed) => Err(course.take_refusal().expect("a reason")),
    }
}

#[tokio::test]
async fn the_model_of_a_form_is_rewritten_where_it_stands() {
    let form = format!("{}{MODEL}--b--\r\n", file(100_000));
    for piece in [1_000, 99_999, 1_000_000] {
        let length = [("content-length", form.len().to_string())];
        let (sent, length) = sent(&form, piece, &length).await.expect("it passes");
        assert_eq!(sent, form.replace("fast", "whisper-1"));
        assert_eq!(length, Some(sent.len() as u64));
    }
}

#[tokio::test]
async fn a_model_that_comes_late_is_named_in_a_header_and_taken_out_of_the_form() {
    let late = format!("{}{MODEL}{}--b--\r\n", file(SEARCH_BYTES_MAX + 10), file(3));
    let refused = sent(&late, 4_096, &[]).await.expect_err("it is not found");
    assert!(matches!(refused, Refusal::BadRequest(bad) if bad.code == "missing_field"));
    for piece in [4_096, 65_537] {
        let (sent, length) = sent(&late, piece, &[("x-headgate-model", "fast".to_owned())])
            .await
            .expect("it passes");
        let own = MODEL.replace("fast", "whisper-1");
        assert_eq!(length, None);
        assert!(sent == format!("{own}{}", late.replace(MODEL, "")), "pieces of {piece}");
    }
}

#[tokio::test]
async fn a_second_model_breaks_the_upload() {
    let form = format!("{MODEL}{}{}--b--\r\n", file(10), MODEL.replace("fast", "other"));
    let refused = sent(&form, 50, &[]).await.expect_err("it has two");
    assert!(matches!(refused, Refusal::BadRequest(bad) if bad.code == "duplicate_field"));
}

#[tokio::test]
async fn a_file_gets_its_mark_while_it_passes_and_its_length_stays_known() {
    let purpose = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n";
    for form in [
        format!("{purpose}{}--b--\r\n", file(100_000)),
        format!("{}{purpose}--b--\r\n", file(100_000)).replace("\"a\"", "\"a\"; filename*=utf-8''a"),
    ] {
        for piece in [7, 99_999, 1_000_000] {
            let (sent, length) = marked(&form, piece).await.expect("it passes");
            let expected = form.replace("filename=\"", "filename=\"hg-").replace("''a", "''hg-a");
            assert!(sent == expected, "pieces of {piece}");
            assert_eq!(length, Some(sent.len() as u64));
        }
    }
}

#[tokio::test]
async fn a_form_without_a_file_or_with_a_second_one_is_refused() {
    let code_of = async |form: String| match marked(&form, 50).await.expect_err("it is refused") {
        Refusal::BadRequest(bad) => (bad.code, bad.param),
        other => panic!("{other:?}"),
    };
    let of_file = |code| (code, Some("file".to_owned()));
    assert_eq!(code_of(format!("{MODEL}--b--\r\n")).await, of_file("missing_field"));
    let late = format!(
        "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n{}\r\n",
        "x".repeat(SEARCH_BYTES_MAX)
    );
    assert_eq!(
        code_of(format!("{late}{}--b--", file(3))).await,
        of_file("missing_field")
    );
    let second = format!("{}{}--b--\r\n", file(10), file(10));
    assert_eq!(code_of(second).await, of_file("duplicate_field"));
    // What it is for may be said behind it.
    let line = file(0).replace("\r\n\r\n", "\r\n\r\n{\"file_id\":\"x\"}");
    let purpose = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n";
    let batch = format!("{line}{purpose}--b--\r\n");
    assert_eq!(code_of(batch.clone()).await, of_file("stored_object_in_batch"));
    assert!(
        marked(&batch.replace("\r\nbatch\r\n", "\r\nuser_data\r\n"), 50)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_is_no_form_or_too_large_is_refused_unread() {
    let read = async |headers: HeaderMap| {
        let body = http_body_util::Full::new(Bytes::from_static(b"--b--"));
        let read = Form::read(&headers, body, Duration::from_secs(1), Sought::Model).await;
        read.map(|form| form.model).expect_err("it is refused")
    };
    let length = (UPLOAD_BYTES_MAX + 1).to_string();
    assert!(matches!(
        read(headers(&[("content-length", length)])).await,
        Refusal::BodyTooLarge(_)
    ));
    assert!(matches!(read(HeaderMap::new()).await, Refusal::UnsupportedMediaType));
    assert!(matches!(read(headers(&[])).await, Refusal::BadRequest(bad) if bad.code == "missing_field"));
}
