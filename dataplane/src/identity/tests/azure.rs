//! AKS's workload identity, and the managed identity of a node.

use std::collections::BTreeMap;
use std::io::Write as _;

use headgate_llm::failure::FailureKind;
use serde_json::json;

use super::super::clouds::Azure;
use super::cloud::{ScriptedCloud, token, unescaped};
use super::*;

fn azure() -> Cloud {
    Cloud::Azure {
        api_version: "v1".to_owned(),
        deployments: BTreeMap::new(),
    }
}

fn identity(cloud: Azure, assume: Option<&str>) -> Arc<Identity> {
    let clouds = Clouds {
        azure: cloud,
        ..Clouds::default()
    };
    opened(azure(), pod(assume), &clouds)
}

#[tokio::test]
async fn the_pods_own_token_is_exchanged_at_entra_and_read_anew_each_time() {
    let cloud = ScriptedCloud::start(|_, before| token(&format!("entra-{before}"), 3599)).await;
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "token-of-the-cluster-1").expect("a file");
    let federated = Azure {
        federated_token_file: Some(file.path().to_owned()),
        client_id: Some("client".to_owned()),
        tenant_id: Some("tenant".to_owned()),
        authority: cloud.url.clone(),
        ..Azure::default()
    };
    let opened = identity(federated.clone(), None);
    assert_eq!(shown(&opened, now()).await.expect("a token"), "Bearer entra-0");
    let asked = &cloud.asked()[0];
    assert_eq!(asked.line, "POST /tenant/oauth2/v2.0/token");
    let form = BTreeMap::from_iter(asked.form());
    let expected = [
        ("client_assertion", "token-of-the-cluster-1"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_id", "client"),
        ("grant_type", "client_credentials"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
    ];
    assert!(
        form.iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .eq(expected),
        "{form:?}"
    );

    std::fs::write(file.path(), "token-of-the-cluster-2").expect("a file");
    let later = now() + Duration::from_secs(3600);
    assert_eq!(shown(&opened, later).await.expect("a token"), "Bearer entra-1");
    assert_eq!(cloud.asked()[1].form()["client_assertion"], "token-of-the-cluster-2");

    shown(&identity(federated, Some("another-client")), now())
        .await
        .expect("a token");
    assert_eq!(cloud.asked()[2].form()["client_id"], "another-client");
}

#[tokio::test]
async fn half_a_workload_identity_says_what_is_missing() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "token").expect("a file");
    let half = Azure {
        federated_token_file: Some(file.path().to_owned()),
        client_id: Some("client".to_owned()),
        ..Azure::default()
    };
    let failure = shown(&identity(half.clone(), None), now())
        .await
        .expect_err("no tenant");
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(
        failure
            .detail
            .starts_with("AZURE_FEDERATED_TOKEN_FILE is set and AZURE_TENANT_ID is not"),
        "{}",
        failure.detail
    );
    std::fs::write(file.path(), "\n").expect("a file");
    let failure = shown(&identity(half, None), now()).await.expect_err("no token");
    assert_eq!(failure.detail, "the file of AZURE_FEDERATED_TOKEN_FILE is empty");
}

#[tokio::test]
async fn without_one_the_metadata_service_is_asked_for_the_managed_identity() {
    // It writes its numbers as text.
    let answer = json!({"access_token": "managed", "expires_in": "86399", "resource": "x", "token_type": "Bearer"});
    let cloud = ScriptedCloud::start(move |_, _| (200, answer.to_string())).await;
    let managed = Azure {
        metadata_service: cloud.url.clone(),
        ..Azure::default()
    };
    assert_eq!(
        shown(&identity(managed.clone(), None), now()).await.expect("a token"),
        "Bearer managed"
    );
    shown(&identity(managed, Some("client")), now()).await.expect("a token");
    let [first, second] = &cloud.asked()[..] else {
        panic!("two requests")
    };
    assert_eq!(
        unescaped(&first.line),
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://cognitiveservices.azure.com"
    );
    assert_eq!(first.header("metadata"), "true");
    assert_eq!(second.line, format!("{}&client_id=client", first.line));
}
