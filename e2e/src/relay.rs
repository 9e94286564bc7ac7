//! A TCP relay that can fall silent: what a firewall that forgot a connection looks like from both ends.
//!
//! Nothing is closed and nothing is reset on purpose: a peer that notices a closed connection proves nothing about one
//! that goes half-open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What passes. Connections are numbered from 1 as they are accepted.
#[derive(Clone, Copy, Debug, Default)]
struct Rule {
    /// Connections up to this one are silent for good.
    silent_up_to: u64,
    /// Every connection is silent for now.
    is_all_silent: bool,
}

/// A running relay; dropping it closes everything.
pub struct Relay {
    address: SocketAddr,
    rule: watch::Sender<Rule>,
    accepted: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Relay {
    /// One in front of `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (rule, rules) = watch::channel(Rule::default());
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        let server = tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                connections.spawn(relay(client, target, number, rules.clone()));
            }
        });
        Self {
            address,
            rule,
            accepted,
            server,
        }
    }

    /// Where clients go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every connection that is open now carries nothing any more, in either direction, for ever; new ones work.
    pub fn silence_open_connections(&self) {
        let accepted = self.accepted.load(Ordering::Relaxed);
        self.rule.send_modify(|rule| rule.silent_up_to = accepted);
    }

    /// Nothing passes, on no connection, new ones included (they are accepted), until [`Self::let_pass`].
    pub fn silence_all(&self) {
        self.rule.send_modify(|rule| rule.is_all_silent = true);
    }

    /// Ends [`Self::silence_all`]; what was sent meanwhile arrives now.
    pub fn let_pass(&self) {
        self.rule.send_modify(|rule| rule.is_all_silent = false);
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn relay(client: TcpStream, target: SocketAddr, number: u64, rules: watch::Receiver<Rule>) {
    // Nobody at the other end: the client's connection closes, as a refused one would.
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let ((client_reads, client_writes), (server_reads, server_writes)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pipe(client_reads, server_writes, number, rules.clone()) => {}
        () = pipe(server_reads, client_writes, number, rules) => {}
    }
}

async fn pipe(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, number: u64, mut rules: watch::Receiver<Rule>) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut piece).await;
        // Judged after the read: what arrives, the end included, is held back while the rule says so.
        let passes = |rule: &Rule| !rule.is_all_silent && number > rule.silent_up_to;
        if rules.wait_for(passes).await.is_err() {
            return;
        }
        match read {
            Ok(n @ 1..) if to.write_all(&piece[..n]).await.is_ok() => {}
            _ => return,
        }
    }
}
