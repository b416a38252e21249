//! A connection whose first bytes come in time. Until it is known which version of HTTP is spoken, nobody else looks at a
//! clock: whoever says nothing would keep its place for good.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// So many bytes tell the versions apart: the preface of HTTP/2 has them, and no request of HTTP/1 has less.
const FIRST: usize = 24;

/// See the [module](self).
pub struct Beginning<S> {
    stream: S,
    missing: usize,
    time: Pin<Box<Sleep>>,
}

impl<S> Beginning<S> {
    /// One that has so long to begin.
    pub fn within(time: Duration, stream: S) -> Self {
        Self { stream, missing: FIRST, time: Box::pin(sleep(time)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Beginning<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        this.missing = this.missing.saturating_sub(into.filled().len() - before);
        if read.is_pending() && this.missing > 0 && this.time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Beginning<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_begin_is_not_waited_for() {
        for said in [&b""[..], b"P", b"PRI * HTTP/2.0"] {
            let (mut caller, stream) = duplex(64);
            let mut stream = Beginning::within(TIME, stream);
            caller.write_all(said).await.unwrap();
            let mut all = Vec::new();
            let read = tokio::time::timeout(2 * TIME, stream.read_to_end(&mut all)).await;
            assert_eq!(read.expect("it is over").unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_begun_is_left_alone() {
        let (mut caller, stream) = duplex(64);
        let mut stream = Beginning::within(TIME, stream);
        caller.write_all(&[b'x'; FIRST]).await.unwrap();
        let mut all = Vec::new();
        assert!(tokio::time::timeout(100 * TIME, stream.read_to_end(&mut all)).await.is_err());
        assert_eq!(all.len(), FIRST);
    }
}
