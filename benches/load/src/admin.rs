//! The Admin API of a running Tidegate, as far as measurements need it.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::post;
use crate::http1::{Decoder, answer_head};
use crate::work::block_on;

/// So many connections make objects at the same time.
const CONNECTIONS: usize = 32;

/// Whom to ask, as whom.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    pub(crate) key: &'static str,
}

impl Admin {
    /// Makes so many objects, each from the body for its number.
    pub(crate) fn post_many(
        &self,
        path: &str,
        count: usize,
        body: impl Fn(usize) -> Value,
    ) -> io::Result<()> {
        let headers = format!("authorization: Bearer {}\r\n", self.key);
        let lay_out = |number| post(self.address, path, &headers, &body(number).to_string());
        let requests: Rc<Vec<Vec<u8>>> = Rc::new((0..count).map(lay_out).collect());
        let address = self.address;
        block_on(async move {
            let mut tasks = JoinSet::new();
            for first in 0..CONNECTIONS.min(count) {
                let requests = requests.clone();
                tasks.spawn_local(async move {
                    let mut stream = TcpStream::connect(address).await?;
                    for request in requests.iter().skip(first).step_by(CONNECTIONS) {
                        ask(&mut stream, request).await?;
                    }
                    io::Result::Ok(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.map_err(io::Error::other)??;
            }
            Ok(())
        })
    }
}

/// Sends a request; an answer that is no success is an error.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    stream.write_all(request).await?;
    let (mut read, mut body) = (Vec::new(), Vec::new());
    let head = loop {
        if let Some(head) = answer_head(&read)? {
            break head;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::Error::other("the gateway left"));
        }
    };
    let mut decoder = Decoder::new(head.framing);
    let mut used = head.length;
    while !decoder.is_done() {
        decoder.decode(&read[used..], |bytes| body.extend_from_slice(bytes))?;
        if !decoder.is_done() {
            read.clear();
            used = 0;
            if stream.read_buf(&mut read).await? == 0 {
                break;
            }
        }
    }
    if (200..300).contains(&head.status) {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&body);
    Err(io::Error::other(format!("the Admin API answers {}: {body}", head.status)))
}
