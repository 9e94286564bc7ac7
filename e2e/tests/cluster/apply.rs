//! From `kubectl apply` to served.

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Condition, Installation, PATIENCE, intents};

#[tokio::test]
async fn a_request_is_answered_by_every_data_plane() {
    let provider = FakeProvider::start().await;
    let installation = Installation::of("answered").start().await;
    installation.apply(&intents::served(&provider.base_url())).await;
    let programmed = Condition {
        kind: "Programmed",
        status: "True",
        reason: "Programmed",
    };
    installation
        .objects
        .wait_for_condition("virtualkey/caller", programmed, PATIENCE)
        .await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
}
