//! The admission policies at work: the service accounts with the chart's own Roles, and what they are refused all the same.
//!
//! Each refusal is of a write that RBAC allows; otherwise it would prove nothing about the policy.

use std::time::Duration;

use headgate_e2e::control_plane::{Applier, ControlPlane, documents};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::caller::Caller;
use crate::helm::{Objects, template};

const NAMESPACE: &str = "chart-admission";
const SNAPSHOTS: &str = "chart-admission-snapshots";
// The API server reads Roles and policies from caches of its own; it says nowhere when they have caught up.
const ENFORCED_WITHIN: Duration = Duration::from_secs(30);
const TO_A_GATEWAY: &str = "a gateway may write only the Lease named after its own pod; give the pod its own projected \
                            ServiceAccount token and set HEADGATE_POD_NAME to its name";
const TO_THE_OPERATOR: &str = "the operator may write only Opaque Secrets that a VirtualKey of headgate.dev controls, shards \
                               named headgate-secret-* in chart-admission-snapshots, and create headgate-sealing-keys in \
                               chart-admission; if a VirtualKey asked for this Secret, choose another \
                               spec.generate.secretName or remove the Secret that has the name";

/// The control plane with the chart's objects on it, once its policies are enforced.
async fn enforced() -> &'static ControlPlane {
    static ENFORCED: OnceCell<()> = OnceCell::const_new();
    let control_plane = ControlPlane::shared().await;
    let install = async || {
        let applier = Applier::new(control_plane.client(), NAMESPACE).await;
        let yaml = template("headgate", NAMESPACE, "crds: {enabled: false}").expect("helm renders");
        for object in Objects::parse(&yaml).0 {
            let object = &documents(&object.to_string()).expect("a value is YAML")[0];
            applier.apply(object).await.unwrap_or_else(|error| panic!("{error}"));
        }
        let (gateway, operator) = (gateway(control_plane, Some("probe")), operator(control_plane));
        let deadline = Instant::now() + ENFORCED_WITHIN;
        loop {
            let lease = gateway.create(&dry(&leases()), &lease("another")).await;
            let secret = operator
                .create(&dry(&secrets(NAMESPACE)), &secret("any", &json!({})))
                .await;
            let said = [lease.unwrap_err_or_default(), secret.unwrap_err_or_default()];
            if said[0].contains(TO_A_GATEWAY) && said[1].contains(TO_THE_OPERATOR) {
                return;
            }
            assert!(Instant::now() < deadline, "the policies are not enforced: {said:?}");
            sleep(Duration::from_millis(50)).await;
        }
    };
    ENFORCED.get_or_init(install).await;
    control_plane
}

trait Refusal {
    fn unwrap_err_or_default(self) -> String;
}

impl Refusal for Result<Value, String> {
    fn unwrap_err_or_default(self) -> String {
        self.err().unwrap_or_default()
    }
}

fn gateway(control_plane: &ControlPlane, pod: Option<&str>) -> Caller {
    Caller::account(control_plane, NAMESPACE, "headgate-gateway", pod)
}

fn operator(control_plane: &ControlPlane) -> Caller {
    Caller::account(
        control_plane,
        NAMESPACE,
        "headgate-operator",
        Some("headgate-operator-0"),
    )
}

fn leases() -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{SNAPSHOTS}/leases")
}

fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

fn dry(path: &str) -> String {
    format!("{path}?dryRun=All")
}

fn lease(name: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40},
    })
}

/// A Secret with `more` merged into its top level.
fn secret(name: &str, more: &Value) -> Value {
    let mut secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"key": "value"},
    });
    for (field, value) in more.as_object().expect("fields to merge") {
        secret[field] = value.clone();
    }
    secret
}

/// Metadata that says a VirtualKey of `group` controls the Secret.
fn owned(name: &str, group: &str, is_controller: bool) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": [{
        "apiVersion": format!("{group}/v1alpha1"),
        "kind": "VirtualKey",
        "name": "owner",
        "uid": "6ef10b3b-3c5e-4f0a-9b61-0d0f5d5b8b11",
        "controller": is_controller,
    }]}})
}

#[track_caller]
fn assert_refused(outcome: Result<Value, String>, expected: &str) {
    match outcome {
        Ok(taken) => panic!("taken: {taken}"),
        Err(said) => assert!(said.contains(expected), "must say {expected:?}, but says {said:?}"),
    }
}

#[tokio::test]
async fn a_gateway_writes_its_own_lease_and_no_other() {
    let control_plane = enforced().await;
    let (one, two) = (
        gateway(control_plane, Some("gateway-1")),
        gateway(control_plane, Some("gateway-2")),
    );
    one.create(&leases(), &lease("gateway-1")).await.unwrap();
    one.apply(&format!("{}/gateway-1", leases()), &lease("gateway-1"))
        .await
        .unwrap();
    // By creating it, by applying it where it is not, by changing one that is there, and by leaving the name to the server.
    assert_refused(two.create(&leases(), &lease("gateway-3")).await, TO_A_GATEWAY);
    assert_refused(
        two.apply(&format!("{}/gateway-3", leases()), &lease("gateway-3")).await,
        TO_A_GATEWAY,
    );
    assert_refused(
        two.apply(&format!("{}/gateway-1", leases()), &lease("gateway-1")).await,
        TO_A_GATEWAY,
    );
    let renewal = json!({"metadata": {"annotations": {"headgate.dev/ack": "{}"}}});
    assert_refused(
        two.merge(&format!("{}/gateway-1", leases()), &renewal).await,
        TO_A_GATEWAY,
    );
    let mut generated = lease("");
    generated["metadata"] = json!({"generateName": "gateway-2"});
    assert_refused(two.create(&leases(), &generated).await, TO_A_GATEWAY);
    two.create(&leases(), &lease("gateway-2")).await.unwrap();
}

#[tokio::test]
async fn a_gateway_cannot_keep_its_lease_from_being_deleted() {
    let control_plane = enforced().await;
    let caller = gateway(control_plane, Some("gateway-5"));
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "gateway-5", "uid": "0"}]);
    for (field, value) in [("finalizers", json!(["example.com/mine"])), ("ownerReferences", owner)] {
        let mut kept = lease("gateway-5");
        kept["metadata"][field] = value;
        assert_refused(caller.create(&leases(), &kept).await, "neither finalizers nor owners");
    }
    caller.create(&leases(), &lease("gateway-5")).await.unwrap();
}

#[tokio::test]
async fn a_token_without_a_pod_acknowledges_for_nobody() {
    let control_plane = enforced().await;
    let caller = gateway(control_plane, None);
    for name in ["gateway-4", "headgate-gateway"] {
        assert_refused(caller.create(&leases(), &lease(name)).await, TO_A_GATEWAY);
    }
}

#[tokio::test]
async fn nobody_else_is_concerned() {
    let control_plane = enforced().await;
    let admin = Caller::admin(control_plane);
    admin.create(&leases(), &lease("of-the-admin")).await.unwrap();
    admin.delete(&format!("{}/of-the-admin", leases())).await.unwrap();
    admin
        .create(&secrets(NAMESPACE), &secret("of-the-admin", &json!({})))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_operator_writes_generated_keys_shards_and_the_ring() {
    let control_plane = enforced().await;
    let operator = operator(control_plane);
    operator
        .create(
            &secrets(NAMESPACE),
            &secret("made", &owned("made", "headgate.dev", true)),
        )
        .await
        .unwrap();
    let rotated = json!({"stringData": {"previousKey": "value"}});
    operator
        .merge(&format!("{}/made", secrets(NAMESPACE)), &rotated)
        .await
        .unwrap();
    let applied = secret("applied", &owned("applied", "headgate.dev", true));
    operator
        .apply(&format!("{}/applied", secrets(NAMESPACE)), &applied)
        .await
        .unwrap();

    let shard = secret(
        "headgate-secret-0123",
        &json!({"type": "headgate.dev/shard", "immutable": true}),
    );
    operator.create(&secrets(SNAPSHOTS), &shard).await.unwrap();
    operator
        .delete(&format!("{}/headgate-secret-0123", secrets(SNAPSHOTS)))
        .await
        .unwrap();

    // What stands where a shard belongs is in the way, whatever it is.
    let in_the_way = secret("headgate-secret-89ab", &json!({}));
    Caller::admin(control_plane)
        .create(&secrets(SNAPSHOTS), &in_the_way)
        .await
        .unwrap();
    operator
        .delete(&format!("{}/headgate-secret-89ab", secrets(SNAPSHOTS)))
        .await
        .unwrap();

    let ring = secret("headgate-sealing-keys", &json!({}));
    operator.create(&secrets(NAMESPACE), &ring).await.unwrap();
    let path = format!("{}/headgate-sealing-keys", secrets(NAMESPACE));
    assert_refused(operator.merge(&path, &rotated).await, TO_THE_OPERATOR);
}

#[tokio::test]
async fn the_operator_writes_no_secret_of_others() {
    let control_plane = enforced().await;
    let (admin, operator) = (Caller::admin(control_plane), operator(control_plane));
    let path = secrets(NAMESPACE);
    admin.create(&path, &secret("theirs", &json!({}))).await.unwrap();
    let theirs = format!("{path}/theirs");
    let change = json!({"stringData": {"key": "other"}});
    assert_refused(operator.merge(&theirs, &change).await, TO_THE_OPERATOR);
    // Nor does claiming it first help.
    assert_refused(
        operator.merge(&theirs, &owned("theirs", "headgate.dev", true)).await,
        TO_THE_OPERATOR,
    );
    let claim = secret("theirs", &owned("theirs", "headgate.dev", true));
    assert_refused(operator.apply(&theirs, &claim).await, TO_THE_OPERATOR);

    let refused = [
        secret("free", &json!({})),
        secret("free", &owned("free", "headgate.dev", false)),
        secret("free", &owned("free", "headgate.dev.example.com", true)),
        secret("headgate-secret-0123", &json!({"type": "headgate.dev/shard"})),
        secret("headgate-sealing-keys-2", &json!({})),
    ];
    for secret in &refused {
        assert_refused(operator.create(&path, secret).await, TO_THE_OPERATOR);
    }
    // The control plane would fill this one with a token of any ServiceAccount.
    let mut token = secret("free", &owned("free", "headgate.dev", true));
    token["type"] = "kubernetes.io/service-account-token".into();
    token["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
    assert_refused(operator.create(&path, &token).await, TO_THE_OPERATOR);

    let not_a_shard = secret("headgate-secret-4567", &json!({}));
    assert_refused(
        operator.create(&secrets(SNAPSHOTS), &not_a_shard).await,
        TO_THE_OPERATOR,
    );
    admin
        .create(&secrets(SNAPSHOTS), &secret("theirs", &json!({})))
        .await
        .unwrap();
    assert_refused(
        operator.delete(&format!("{}/theirs", secrets(SNAPSHOTS))).await,
        TO_THE_OPERATOR,
    );
}

#[tokio::test]
async fn roles_end_where_they_should() {
    let control_plane = enforced().await;
    let (gateway, operator) = (gateway(control_plane, Some("gateway-5")), operator(control_plane));
    let admin = Caller::admin(control_plane);
    admin
        .create(&secrets(NAMESPACE), &secret("credential", &json!({})))
        .await
        .unwrap();
    let forbidden = "is forbidden: User \"system:serviceaccount:chart-admission:";
    assert_refused(
        gateway.get(&format!("{}/credential", secrets(NAMESPACE))).await,
        forbidden,
    );
    assert_refused(gateway.get(&secrets(SNAPSHOTS)).await, forbidden);
    assert_refused(
        gateway.get(&format!("/api/v1/namespaces/{SNAPSHOTS}/configmaps")).await,
        forbidden,
    );
    assert_refused(operator.get("/api/v1/secrets").await, forbidden);
    assert_refused(operator.get("/api/v1/namespaces/default/secrets").await, forbidden);
    operator.get(&secrets(NAMESPACE)).await.unwrap();
}
