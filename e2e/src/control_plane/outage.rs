//! Taking the API server away and giving it back: killed, frozen, and with its history forgotten.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ControlPlane, lock};
use crate::leash::Signal;

impl ControlPlane {
    /// Kills the API server: connections break, nobody answers at its port. What etcd holds stays.
    pub fn stop_api_server(&self) {
        lock(&self.ours().api_server).kill();
    }

    /// Starts the API server again, at its port, over the same data, and waits until it is ready.
    pub async fn start_api_server(&self) {
        let ours = self.ours();
        let started = ours
            .programs
            .kube_apiserver(ours.folder.path(), &ours.etcd_url, ours.address.port());
        *lock(&ours.api_server) = started;
        self.wait_until_ready().await;
    }

    /// Stops the API server in mid-sentence: connections stay open, also new ones, and nothing is answered.
    pub fn freeze_api_server(&self) {
        lock(&self.ours().api_server).signal(Signal::Stop);
    }

    /// Lets a frozen one go on.
    pub fn thaw_api_server(&self) {
        lock(&self.ours().api_server).signal(Signal::Cont);
    }

    /// Makes etcd forget every revision before the present one, as it does by itself every five minutes: with the API
    /// server started afresh, whoever resumes a watch from before is told 410.
    pub async fn compact_history(&self) {
        let revision = self.ask_etcd("/v3/kv/range", r#"{"key":"YQ=="}"#).await["header"]["revision"].clone();
        let body = format!(r#"{{"revision":{revision},"physical":true}}"#);
        let answer = self.ask_etcd("/v3/kv/compaction", &body).await;
        assert!(answer["header"].is_object(), "etcd does not compact: {answer}");
    }

    /// One request to etcd's JSON gateway, on a bare socket: the only HTTP/1 request of this crate that is not to Headgate.
    async fn ask_etcd(&self, path: &str, body: &str) -> serde_json::Value {
        let url = &self.ours().etcd_url;
        let address: SocketAddr = url.trim_start_matches("http://").parse().expect("we made the address");
        let mut socket = TcpStream::connect(address).await.expect("etcd listens");
        let request = format!(
            "POST {path} HTTP/1.0\r\nhost: etcd\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.expect("etcd reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("etcd answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer has a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("etcd answers {answer}: {error}"))
    }
}
