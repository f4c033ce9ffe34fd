//! The scripted upstream: as cheap as can be, so that a core that it shares with the load is not what is measured.
//! Answers are laid out once for each script and copied from then on. `GET /release` lets held streams go on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::http1::{Decoder, request_head};
use crate::pace::Pace;
use crate::script::Script;

/// An answer as it goes over the wire: what is written at once, piece by piece.
struct Wire {
    pieces: Vec<Vec<u8>>,
}

impl Wire {
    fn of(script: &Script) -> Self {
        if !script.streams() {
            let body = script.body();
            return Self { pieces: vec![whole("200 OK", &body)] };
        }
        let mut pieces = vec![
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
              x-request-id: req_8c1f5d0e2b9a4f7c\r\ntransfer-encoding: chunked\r\n\r\n"
                .to_vec(),
        ];
        for (number, event) in script.events().into_iter().enumerate() {
            if number > 0 && (script.gap_us > 0 || script.hold == number) {
                pieces.push(Vec::new());
            }
            // The head leaves together with the first event.
            if let Some(piece) = pieces.last_mut() {
                piece.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
            }
        }
        if let Some(piece) = pieces.last_mut() {
            piece.extend_from_slice(b"0\r\n\r\n");
        }
        Self { pieces }
    }
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    let mut text = String::new();
    let _infallible = write!(
        text,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: req_8c1f5d0e2b9a4f7c\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    text.into_bytes()
}

/// Shared by all connections of the one thread.
struct Mock {
    wires: RefCell<HashMap<Script, Rc<Wire>>>,
    release: watch::Sender<u64>,
}

/// Serves for ever at this address; prints where it listens.
pub(crate) async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mock = Rc::new(Mock { wires: RefCell::default(), release: watch::Sender::new(0) });
    loop {
        let (stream, _) = listener.accept().await?;
        let mock = mock.clone();
        tokio::task::spawn_local(async move {
            // A client that leaves is none of the mock's business.
            let _left = connection(stream, &mock).await;
        });
    }
}

async fn connection(mut stream: TcpStream, mock: &Mock) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::with_capacity(4096);
    let mut body = Vec::new();
    loop {
        let head = loop {
            if let Some(head) = request_head(&read)? {
                break head;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let mut decoder = Decoder::new(head.framing);
        body.clear();
        let mut used = head.length;
        loop {
            used += decoder.decode(&read[used..], |bytes| body.extend_from_slice(bytes))?;
            if decoder.is_done() {
                break;
            }
            read.clear();
            used = 0;
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        }
        read.drain(..used);
        answer(&mut stream, mock, &head.path, &body).await?;
        if head.closes {
            return Ok(());
        }
        if body.capacity() > 1 << 20 {
            (read, body) = (Vec::with_capacity(4096), Vec::new());
        }
    }
}

async fn answer(stream: &mut TcpStream, mock: &Mock, path: &str, body: &[u8]) -> io::Result<()> {
    if path == "/release" {
        mock.release.send_modify(|count| *count += 1);
        return stream.write_all(&whole("200 OK", "{}")).await;
    }
    let Some(script) = Script::find(body) else {
        let error = r#"{"error":{"message":"no script in the prompt","type":"invalid_request_error"}}"#;
        return stream.write_all(&whole("400 Bad Request", error)).await;
    };
    let known = mock.wires.borrow().get(&script).cloned();
    let wire = known.unwrap_or_else(|| {
        let wire = Rc::new(Wire::of(&script));
        mock.wires.borrow_mut().insert(script, wire.clone());
        wire
    });
    if let [only] = wire.pieces.as_slice() {
        return stream.write_all(only).await;
    }
    let mut released = mock.release.subscribe();
    let mut pace = match script.gap() {
        Duration::ZERO => None,
        gap if script.exact => Some(Pace::exact(gap)?),
        gap => Some(Pace::rough(gap)),
    };
    // All that is sent at once is one piece.
    let held = if script.gap_us > 0 { script.hold } else { 1 };
    for (number, piece) in wire.pieces.iter().enumerate() {
        if number > 0 {
            if script.hold > 0 && number == held {
                tokio::select! {
                    _ = released.changed() => {}
                    // Whoever waits for a held stream says nothing: a read ends when it leaves.
                    _ = stream.readable() => return Ok(()),
                }
            } else if let Some(pace) = &mut pace {
                pace.tick().await?;
            }
        }
        stream.write_all(piece).await?;
    }
    Ok(())
}
