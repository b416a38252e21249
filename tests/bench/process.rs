//! What surrounds the operator, each part in a process of its own: what it needs is not counted as the operator's.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// The path under which a bench speaks with its surroundings. Such calls are neither counted nor slow.
pub const CONTROL: &str = "/_bench/";

/// This program again, as a server. It ends with this process, because its standard input does.
pub struct Process {
    process: Child,
    endpoint: String,
    http: reqwest::Client,
}

impl Process {
    /// Starts what has this name.
    pub fn start(name: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut endpoint = String::new();
        let output = process.stdout.take().context("it has no output")?;
        BufReader::new(output).read_line(&mut endpoint)?;
        Ok(Self { process, endpoint: endpoint.trim().into(), http: reqwest::Client::new() })
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Says something to it, or asks.
    pub async fn control(&self, what: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{CONTROL}{what}", self.endpoint)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // There is nobody left to tell.
        let _ = self.process.wait();
    }
}

/// In the server: says where it is, answers requests by what it knows, and ends when its standard input ends.
pub async fn serve<S, B, F>(
    knows: S,
    answer: impl Fn(Arc<Mutex<S>>, Request<Incoming>) -> F + Copy + Send + 'static,
) -> anyhow::Result<()>
where
    S: Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    let knows = Arc::new(Mutex::new(knows));
    let accepts = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let knows = knows.clone();
            let service = service_fn(move |request| answer(knows.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    };
    let input_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        failed = accepts => failed,
        _ = input_ends => Ok(()),
    }
}
