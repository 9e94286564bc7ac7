//! The client side of the bench for what `wrk` cannot do: streams and idle connections. Prints one JSON object.
//!
//! It counts events by their `data:` prefix in the bytes that arrive and parses nothing more, since it shares a core with
//! the upstream and must not be what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PREFIX: &[u8] = b"data: ";
const DONE: &[u8] = b"[DONE]";

/// Loads a gateway on loopback with streams or idle connections, bounded in number and time.
#[derive(Parser)]
struct Arguments {
    /// Where the contestant listens.
    #[arg(long)]
    address: SocketAddr,
    /// The virtual key to present.
    #[arg(long, default_value = "none")]
    key: String,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Parallel streams, each to its end.
    Streams {
        /// How many at once.
        #[arg(long)]
        count: usize,
        /// The model, which names the length and pace of the streams.
        #[arg(long)]
        model: String,
    },
    /// One stream after the other on one connection: microseconds from the request to the first event.
    FirstEvent {
        /// How many.
        #[arg(long)]
        count: usize,
        /// The model.
        #[arg(long)]
        model: String,
    },
    /// Connections that did one request each and are then held open without any.
    Idle {
        /// How many.
        #[arg(long)]
        count: usize,
        /// For how many seconds.
        #[arg(long)]
        seconds: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Arguments { address, key, load } = Arguments::parse();
    let report = match load {
        Load::Streams { count, model } => streams(address, &request(&key, &model, true), count).await,
        Load::FirstEvent { count, model } => first_event(address, &request(&key, &model, true), count).await,
        Load::Idle { count, seconds } => idle(address, &request(&key, "chat", false), count, seconds).await,
    };
    println!("{report}");
}

fn request(key: &str, model: &str, stream: bool) -> Vec<u8> {
    let body =
        json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Xin chào"}]}).to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What one stream gave.
#[derive(Default)]
struct Stream {
    events: u64,
    done: bool,
    first_event: Duration,
}

/// Sends the request and reads to the end of the stream: its `[DONE]` and the last chunk behind it.
async fn stream(socket: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<Stream> {
    let asked = Instant::now();
    socket.write_all(request).await?;
    let mut stream = Stream::default();
    buffer.clear();
    loop {
        if socket.read_buf(buffer).await? == 0 {
            return Ok(stream);
        }
        let events = buffer.windows(PREFIX.len()).filter(|window| *window == PREFIX).count();
        if events > 0 && stream.first_event.is_zero() {
            stream.first_event = asked.elapsed();
        }
        stream.events += events as u64;
        stream.done |= buffer.windows(DONE.len()).any(|window| window == DONE);
        if stream.done && buffer.ends_with(b"0\r\n\r\n") {
            stream.events -= 1; // [DONE] is no event
            return Ok(stream);
        }
        // A prefix may be split over two reads: keep a tail too short to hold one that was counted.
        let keep = buffer.len().min(PREFIX.len() - 1);
        buffer.drain(..buffer.len() - keep);
    }
}

async fn streams(address: SocketAddr, request: &[u8], count: usize) -> serde_json::Value {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..count {
        let request = request.to_vec();
        running.spawn(async move {
            let mut socket = TcpStream::connect(address).await?;
            stream(&mut socket, &request, &mut Vec::with_capacity(64 * 1024)).await
        });
    }
    let (mut events, mut errors) = (0, 0);
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok(Stream {
                events: n, done: true, ..
            })) => events += n,
            Ok(Ok(Stream { events: n, .. })) => {
                events += n;
                errors += 1;
            }
            _ => errors += 1,
        }
    }
    json!({"streams": count, "events": events, "errors": errors, "seconds": started.elapsed().as_secs_f64()})
}

async fn first_event(address: SocketAddr, request: &[u8], count: usize) -> serde_json::Value {
    let mut socket = TcpStream::connect(address).await.expect("the contestant listens");
    socket.set_nodelay(true).expect("TCP_NODELAY can be set");
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut times_us = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = stream(&mut socket, request, &mut buffer)
            .await
            .expect("the connection is kept alive");
        assert!(stream.done, "a stream broke off");
        times_us.push(stream.first_event.as_secs_f64() * 1e6);
    }
    times_us.sort_by(f64::total_cmp);
    json!({"count": count, "p50_us": times_us[count / 2], "p99_us": times_us[count * 99 / 100]})
}

async fn idle(address: SocketAddr, request: &[u8], count: usize, seconds: u64) -> serde_json::Value {
    let (mut held, mut errors) = (Vec::with_capacity(count), 0);
    let mut buffer = vec![0; 16 * 1024];
    for _ in 0..count {
        let answered = async {
            let mut socket = TcpStream::connect(address).await?;
            socket.write_all(request).await?;
            let n = socket.read(&mut buffer).await?;
            let good = buffer[..n].starts_with(b"HTTP/1.1 200");
            std::io::Result::Ok(good.then_some(socket))
        };
        match answered.await {
            Ok(Some(socket)) => held.push(socket),
            _ => errors += 1,
        }
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    // Each must still serve: an idle connection that was dropped would show here.
    for socket in &mut held {
        let served = socket.write_all(request).await.is_ok() && matches!(socket.read(&mut buffer).await, Ok(1..));
        errors += usize::from(!served);
    }
    json!({"connections": held.len(), "errors": errors})
}
