//! The scripted provider as a program, for benches and for people who want to see a gateway in trouble.

use std::net::SocketAddr;

use clap::Parser;
use headgate_e2e::fake_provider::{Behaviour, FakeProvider};

/// A server that speaks every provider's dialect, told by the path of a request, and does what its model names. Services
/// that share OpenAI's paths stand under /api.openai.com/v1, /deepseek/v1, /groq/openai/v1, /mistral/v1 and /together/v1; /v1
/// itself is the barest of them.
///
/// Besides the names printed at start it understands `status-N`, `status-N-after-SECONDS`, `events-N-every-Mms`,
/// `line-Nmb`, `answer-Nmb` and `bomb-Nmb`. What it received is at `GET /_fake/received`, with
/// `?holding=TEXT` only what has that text in its body.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let provider = FakeProvider::listen(arguments.listen).await?;
    println!(
        "listening on {}; models: {}",
        provider.base_url(),
        Behaviour::NAMES.join(" ")
    );
    provider.serve_forever().await;
    Ok(())
}
