//! One connection that asks and verifies.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::http1::{Decoder, Head, answer_head};
use crate::verify::Verifier;

/// Nothing that is measured may take as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// When an answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The first bytes of its body.
    pub(crate) first: Instant,
    /// The first text in it.
    pub(crate) token: Instant,
    /// Its end.
    pub(crate) end: Instant,
}

/// A connection that is used again for the next request.
pub(crate) struct Client {
    address: SocketAddr,
    /// The address to connect from: so many streams may need more ports than one has.
    from: Option<SocketAddr>,
    stream: Option<TcpStream>,
    read: Vec<u8>,
    decoder: Option<(Decoder, bool)>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, from: None, stream: None, read: Vec::new(), decoder: None }
    }

    /// A client on the loopback address 127.0.0.2, 127.0.0.3, …, by `number`.
    pub(crate) fn spread(address: SocketAddr, number: usize) -> Self {
        let last = u8::try_from(2 + number % 8).unwrap_or(2);
        Self { from: Some(([127, 0, 0, last], 0).into()), ..Self::new(address) }
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn ask(&mut self, request: &[u8], verifier: &mut Verifier) -> io::Result<Answer> {
        let asked = async {
            self.begin(request, verifier).await?;
            let first = Instant::now();
            let token = self.finish(verifier).await?;
            Ok(Answer { first, token, end: Instant::now() })
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(io::Error::other)?
    }

    /// Sends a request and reads its answer up to the first bytes of the body.
    pub(crate) async fn begin(&mut self, request: &[u8], verifier: &mut Verifier) -> io::Result<()> {
        verifier.start();
        let begun = self.try_begin(request, verifier).await;
        if begun.is_err() {
            self.stream = None;
        }
        begun
    }

    /// Reads the rest of an answer, judges it and returns when its first text came.
    pub(crate) async fn finish(&mut self, verifier: &mut Verifier) -> io::Result<Instant> {
        let finished = self.try_finish(verifier).await;
        if finished.is_err() {
            self.stream = None;
        }
        finished
    }

    async fn try_begin(&mut self, request: &[u8], verifier: &mut Verifier) -> io::Result<()> {
        self.read.clear();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(connect(self.address, self.from).await?),
        };
        stream.write_all(request).await?;
        let head = loop {
            if let Some(head) = answer_head(&self.read)? {
                break head;
            }
            if stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::Error::other("the connection ended before the answer's head"));
            }
        };
        if head.status != 200 {
            return Err(self.refusal(&head).await);
        }
        let mut decoder = Decoder::new(head.framing);
        self.read.drain(..head.length);
        decoder.decode(&self.read, |bytes| verifier.take(bytes))?;
        let mut some = !self.read.is_empty();
        while !some && !decoder.is_done() {
            self.read.clear();
            if stream.read_buf(&mut self.read).await? == 0 {
                break;
            }
            decoder.decode(&self.read, |bytes| {
                some = true;
                verifier.take(bytes);
            })?;
        }
        self.decoder = Some((decoder, head.closes));
        Ok(())
    }

    async fn try_finish(&mut self, verifier: &mut Verifier) -> io::Result<Instant> {
        let mut token = verifier.has_token().then(Instant::now);
        let (Some(stream), Some((mut decoder, closes))) = (&mut self.stream, self.decoder.take()) else {
            return Err(io::Error::other("no answer has begun"));
        };
        while !decoder.is_done() {
            self.read.clear();
            if stream.read_buf(&mut self.read).await? == 0 {
                if decoder.ends_with_connection() {
                    break;
                }
                return Err(io::Error::other("the connection ended in the middle of an answer"));
            }
            decoder.decode(&self.read, |bytes| verifier.take(bytes))?;
            if token.is_none() && verifier.has_token() {
                token = Some(Instant::now());
            }
        }
        if closes {
            self.stream = None;
        }
        verifier.end().map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        Ok(token.unwrap_or_else(Instant::now))
    }

    /// Reads what there is of an error, for a sentence about it.
    async fn refusal(&mut self, head: &Head) -> io::Error {
        if let Some(stream) = &mut self.stream {
            let more = stream.read_buf(&mut self.read);
            let _incomplete = tokio::time::timeout(Duration::from_millis(100), more).await;
        }
        let body = String::from_utf8_lossy(&self.read[head.length.min(self.read.len())..]);
        io::Error::other(format!("status {}: {}", head.status, body.trim()))
    }
}

async fn connect(address: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        socket.bind(from)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Lays out a POST of JSON; `headers` are whole lines.
pub(crate) fn post(host: SocketAddr, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: */*\r\n\
         user-agent: OpenAI/Python 2.8.0\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_says_how_long_its_body_is() {
        let text = String::from_utf8(post(([127, 0, 0, 1], 80).into(), "/v1", "a: b\r\n", "{}")).unwrap();
        assert!(text.contains("\r\na: b\r\ncontent-length: 2\r\n\r\n{}"), "{text}");
    }
}
