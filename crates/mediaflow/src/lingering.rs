//! Connections that are closed so that the last answer arrives. Who closes a socket on which bytes are waiting to be read resets it, and
//! the other side loses what it had not read yet: of an upload that is refused before its bytes were taken, that is the refusal
//! (RFC 9112, 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// How long somebody may go on sending to whom everything was said.
const LINGER_MAX: Duration = Duration::from_secs(30);
/// Who sends nothing for so long has nothing more to send.
const QUIET_MAX: Duration = Duration::from_secs(1);
/// Bytes that are thrown away with one read.
const READ: usize = 16 << 10;

/// A connection whose end is told to the other side first, and then waited for.
pub(crate) struct Lingering {
    stream: TcpStream,
    ending: Option<Ending>,
}

/// Since nothing is sent any more.
struct Ending {
    last: Instant,
    quiet: Pin<Box<Sleep>>,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            ending: None,
        }
    }
}

impl Ending {
    fn begin() -> Self {
        Self {
            last: Instant::now() + LINGER_MAX,
            quiet: Box::pin(sleep(QUIET_MAX)),
        }
    }

    /// Throws away what arrives until the other side ends it too, or it has taken long enough.
    fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; READ];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.quiet.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let now = Instant::now();
                    if now >= self.last {
                        return Poll::Ready(());
                    }
                    let quiet = self.last.min(now + QUIET_MAX);
                    self.quiet.as_mut().reset(quiet);
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let ending = this.ending.get_or_insert_with(Ending::begin);
        ending.poll(&mut this.stream, cx).map(Ok)
    }
}
