//! Requests that no client library would send, byte by byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Gateway;

/// How long an answer to such a request may take: nobody may be kept waiting by half of one for ever, but longer than this.
const ENOUGH: Duration = Duration::from_secs(2);

impl Gateway {
    /// Sends bytes to a gateway without TLS, and returns what comes back until it ends the connection, or has said enough.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let address = self.url.strip_prefix("http://").expect("raw requests are for a gateway without TLS");
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may hang up before it has read all of it.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let reading = async {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut part).await {
                answer.extend_from_slice(&part[..n]);
            }
        };
        let _ = tokio::time::timeout(ENOUGH, reading).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}
