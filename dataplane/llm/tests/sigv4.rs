//! Signatures of AWS: those that AWS publishes, and those that its own client makes.
//!
//! `AWS_SUITE` is AWS's published signing test suite (github.com/awslabs/aws-c-auth v0.9.0, `tests/aws-signing-test-suite/v4`, as the
//! crate aws-sigv4 1.6.4 carries it): the cases whose paths are normalised and whose bodies are signed. The others are
//! made with botocore 1.44.8, its clock pinned:
//!
//! ```python
//! botocore.auth.get_current_datetime = lambda: datetime.datetime(2026, 11, 21, 10, 0, 0)
//! request = botocore.awsrequest.AWSRequest(method="POST", url=url, data=body, headers=headers)
//! botocore.auth.SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, token), "bedrock", region).add_auth(request)
//! print(request.headers)
//! ```

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::{Duration, SystemTime};

use headgate_llm::sigv4::{AwsCredentials, CredentialsError, SigningRequest, sign};
use http::{HeaderMap, HeaderName};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const BODY: &[u8] = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"việt\"}]}]}".as_bytes();

/// Sat, 21 Nov 2026 10:00:00 GMT
const NOW_UNIX_SECONDS: u64 = 1_795_255_200;

fn at(unix_seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds)
}

fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), value.parse().unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in list.iter().map(header) {
        headers.append(name, value);
    }
    headers
}

/// The headers that are made, by their names.
fn signed(request: &SigningRequest<'_>, credentials: &AwsCredentials, now: SystemTime) -> Vec<(String, String)> {
    let made = sign(request, credentials, now).unwrap();
    let made = made
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    made.collect()
}

fn authorization(request: &SigningRequest<'_>, token: Option<&str>) -> String {
    let credentials = AwsCredentials::new(ID, SECRET, token).unwrap();
    signed(request, &credentials, at(NOW_UNIX_SECONDS)).pop().unwrap().1
}

/// Method, path, query, headers, and the signature.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const AWS_SUITE: [Case; 20] = [
    // get-vanilla, get-relative, get-relative-relative, get-slash-dot-slash, get-slash
    (
        "GET",
        "/",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "GET",
        "",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "GET",
        "/example/..",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "GET",
        "/example1/example2/../..",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "GET",
        "/./",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "GET",
        "//",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    // get-slash-pointless-dot, get-slashes, get-unreserved
    (
        "GET",
        "/./example",
        "",
        &[],
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    (
        "GET",
        "//example//",
        "",
        &[],
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    (
        "GET",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "",
        &[],
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    // get-utf8, get-space: given there as they are before they are encoded for the first time
    (
        "GET",
        "/\u{1234}",
        "",
        &[],
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "GET",
        "/example space/",
        "",
        &[],
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    // get-vanilla-query-order-encoded, get-vanilla-query-order-key-case, get-vanilla-empty-query-key
    (
        "GET",
        "/",
        "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        &[],
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    (
        "GET",
        "/",
        "Param2=value2&Param1=value1",
        &[],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "GET",
        "/",
        "Param1=value1",
        &[],
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    // get-header-key-duplicate, get-header-value-order, get-header-value-trim
    (
        "GET",
        "/",
        "",
        &[
            ("my-header1", "value2"),
            ("my-header1", "value2"),
            ("my-header1", "value1"),
        ],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "GET",
        "/",
        "",
        &[
            ("my-header1", "value4"),
            ("my-header1", "value1"),
            ("my-header1", "value3"),
            ("my-header1", "value2"),
        ],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    (
        "GET",
        "/",
        "",
        &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    // post-vanilla, post-header-key-sort, post-header-value-case
    (
        "POST",
        "/",
        "",
        &[],
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "POST",
        "/",
        "",
        &[("my-header1", "value1")],
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    (
        "POST",
        "/",
        "",
        &[("my-header1", "VALUE1")],
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
];

/// The suite's own region, service and time (Sun, 30 Aug 2015 12:36:00 GMT).
fn suite_signature(case: Case, token: Option<&str>) -> String {
    let (method, path, query, list, _) = case;
    let request = SigningRequest {
        method,
        host: "example.amazonaws.com",
        path,
        query,
        headers: &headers(list),
        body: b"",
        region: "us-east-1",
        service: "service",
    };
    let credentials = AwsCredentials::new(ID, SECRET, token).unwrap();
    let (_, authorization) = signed(&request, &credentials, at(1_440_938_160)).pop().unwrap();
    authorization.rsplit_once("Signature=").unwrap().1.to_owned()
}

#[test]
fn the_signatures_are_those_of_the_published_suite() {
    for case in AWS_SUITE {
        assert_eq!(suite_signature(case, None), case.4, "{case:?}");
    }
    // get-vanilla-with-session-token
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    assert_eq!(
        suite_signature(AWS_SUITE[0], Some(token)),
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    );
}

/// A call of Bedrock's.
fn call<'a>(path: &'a str, region: &'a str, host: &'a str, headers: &'a HeaderMap) -> SigningRequest<'a> {
    SigningRequest {
        method: "POST",
        host,
        path,
        query: "",
        headers,
        body: BODY,
        region,
        service: "bedrock",
    }
}

const US: &str = "bedrock-runtime.us-east-1.amazonaws.com";
const CLAUDE: &str = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse";

#[test]
fn the_colon_of_a_models_id_is_encoded_twice() {
    assert_eq!(
        authorization(&call(CLAUDE, "us-east-1", US, &HeaderMap::new()), None),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=88a24bf59c89cb73f10f1745a0a54d8280cf65368e832f2f0f7c350910eb1189"
    );
}

#[test]
fn a_temporary_key_sends_and_signs_its_token() {
    let token = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJH+/=";
    let sent = headers(&[("content-type", "application/json")]);
    let credentials = AwsCredentials::new(ID, SECRET, Some(token)).unwrap();
    let request = call(CLAUDE, "us-east-1", US, &sent);
    let made = sign(&request, &credentials, at(NOW_UNIX_SECONDS)).unwrap();
    assert!(
        made[1].1.is_sensitive() && made[2].1.is_sensitive(),
        "neither may be logged"
    );
    let names: Vec<_> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-amz-date", "x-amz-security-token", "authorization"]);
    assert_eq!(made[0].1, "20261121T100000Z");
    assert_eq!(made[1].1, token);
    assert_eq!(
        made[2].1,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/bedrock/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
         Signature=e531814c9551dda674f1604d1035e45a27b7e1abe76652dbba0be16acd39b9f9"
    );
}

#[test]
fn the_slashes_of_an_arn_stay_in_its_segment() {
    let path = "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc123\
                /converse-stream";
    let sent = headers(&[
        ("content-type", "application/json"),
        ("user-agent", "rewritten on the way"),
        ("authorization", "replaced"),
        ("x-amz-date", "replaced"),
        ("x-amzn-bedrock-trace", "  a   b "),
    ]);
    let host = "bedrock-runtime.eu-central-1.amazonaws.com";
    assert_eq!(
        authorization(&call(path, "eu-central-1", host, &sent), None),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/eu-central-1/bedrock/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amzn-bedrock-trace, \
         Signature=c0dc7e82aa694b008c0e78bf6e3c257135f3803d76f662fb51c5af699f342350"
    );
}

#[test]
fn a_port_and_a_query_are_signed_as_they_are_sent() {
    let none = HeaderMap::new();
    let request = SigningRequest {
        method: "GET",
        query: "b=2&a=%20x&a",
        body: b"",
        ..call("/prefix/model/a/converse", "us-east-1", "proxy.example:8443", &none)
    };
    assert!(
        authorization(&request, None)
            .ends_with("Signature=c38c6c751b9eab3ee708ea922d0ffdef829bd1065acd884059428f673f9326b5")
    );
}

#[test]
fn what_no_header_can_carry_is_not_signed() {
    let credentials = AwsCredentials::new(ID, SECRET, None).unwrap();
    let none = HeaderMap::new();
    let request = call(CLAUDE, "us-east-1\r\nx: y", US, &none);
    assert!(sign(&request, &credentials, at(0)).is_none());
}

#[test]
fn a_secret_holds_an_access_key_as_json_or_something_else() {
    let read = |json: &str| AwsCredentials::from_json(json);
    assert!(read("ABSKQmVkcm9ja0FQSUtleQ==").is_none(), "an API key");
    assert!(read("").is_none());
    let key = read(" {\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\\u0065c\",\"sessionToken\":\"t\"}\n");
    assert_eq!(key.unwrap().unwrap().access_key_id(), "A");
    let refused = |json| read(json).unwrap().unwrap_err();
    assert_eq!(refused("{"), CredentialsError::Unreadable);
    assert_eq!(refused("{\"accessKeyId\":1}"), CredentialsError::Unreadable);
    assert_eq!(
        refused("{\"accessKeyId\":\"A\"}"),
        CredentialsError::Missing("secretAccessKey")
    );
    assert_eq!(
        refused("{\"accessKeyId\":\"A\\n\",\"secretAccessKey\":\"s\"}"),
        CredentialsError::Unprintable("accessKeyId")
    );
    for token in ["", "null", "\"\""] {
        let token = if token.is_empty() {
            String::new()
        } else {
            format!(",\"sessionToken\":{token}")
        };
        let key = read(&format!(
            "{{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\"{token},\"region\":\"x\"}}"
        ));
        let made = sign(
            &call(CLAUDE, "us-east-1", US, &HeaderMap::new()),
            &key.unwrap().unwrap(),
            at(0),
        );
        assert_eq!(made.unwrap().len(), 2, "no token, no header");
    }
}

#[test]
fn an_access_key_shows_only_its_public_half() {
    let credentials = AwsCredentials::new(ID, SECRET, Some("the token")).err();
    assert_eq!(credentials, Some(CredentialsError::Unprintable("sessionToken")));
    let shown = format!("{:?}", AwsCredentials::new(ID, SECRET, Some("token")).unwrap());
    assert!(
        shown.contains(ID) && !shown.contains(SECRET) && !shown.contains("token"),
        "{shown}"
    );
}
