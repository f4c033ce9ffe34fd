//! The client against sockets that say exactly what a test wants.
#![expect(clippy::disallowed_methods, reason = "the servers of a test end with it")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::body::{OutBody, UploadFailure, upload};
use super::{Client, ConnectFailure};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn client() -> Client {
    Client::new(Duration::from_secs(5))
}

fn request(address: SocketAddr) -> Request<Bytes> {
    Request::post(format!("http://{address}/x")).body(Bytes::from_static(b"hi")).unwrap()
}

/// Reads a request that ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let mut piece = [0; 4_096];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "the request was cut: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(read).unwrap()
}

/// Asks and returns status and body.
async fn ask(client: &Client, address: SocketAddr) -> Result<(u16, Result<Bytes, String>), ConnectFailure> {
    let answer = client.send(request(address), true).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await;
    Ok((status, body.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())))
}

fn ok(text: &str) -> Result<(u16, Result<Bytes, String>), ConnectFailure> {
    Ok((200, Ok(Bytes::copy_from_slice(text.as_bytes()))))
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for body in ["content-length: 2\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
        {
            let asked = read_until(&mut stream, "hi").await;
            assert!(asked.starts_with("POST /x HTTP/1.1\r\nhost: 127.0.0.1:"), "{asked}");
            assert!(asked.contains("\r\ncontent-length: 2\r\n"), "{asked}");
            // Byte for byte: every place is cut once.
            for byte in format!("HTTP/1.1 200 OK\r\n{body}").bytes() {
                stream.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let client = client();
    assert_eq!(ask(&client, address).await, ok("ab"));
    assert_eq!(ask(&client, address).await, ok("ab"));
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_closed_or_said_too_much_is_not_used_again() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let answers = [
            "content-length: 2\r\nconnection: close\r\n\r\nab",
            "content-length: 2\r\n\r\nabHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
            "content-length: 2\r\n\r\nab",
            "connection: close\r\n\r\nab",
        ];
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_until(&mut stream, "hi").await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
        }
    });
    let client = client();
    for _ in 0..4 {
        assert_eq!(ask(&client, address).await, ok("ab"));
        // The end of a connection is seen.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_cut_answer_is_an_error() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-le",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "nonsense\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_until(&mut stream, "hi").await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = client();
    let closed = "connection closed before message completed".to_owned();
    for _ in 0..2 {
        assert_eq!(ask(&client, address).await, Err(ConnectFailure::Broken(closed.clone())));
    }
    for _ in 0..2 {
        assert_eq!(ask(&client, address).await, Ok((200, Err(closed.clone()))));
    }
    let chunks = "the chunks of the body are malformed".to_owned();
    assert_eq!(ask(&client, address).await, Err(ConnectFailure::Broken(chunks)));
    assert!(matches!(ask(&client, address).await, Err(ConnectFailure::Broken(_))));
}

#[tokio::test]
async fn an_upload_is_sent_as_it_comes_and_may_be_answered_early() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = read_until(&mut stream, "3\r\nabc\r\n0\r\n\r\n").await;
        assert!(asked.contains("\r\ntransfer-encoding: chunked\r\n\r\n"), "{asked}");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        let asked = read_until(&mut stream, "abc").await;
        assert!(asked.contains("\r\ncontent-length: 9\r\n\r\n"), "{asked}");
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        // The rest is still to come: the connection is not used again, but closed.
        let (mut stream, _) = listener.accept().await.unwrap();
        read_until(&mut stream, "hi").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    });
    let client = client();
    let url = format!("http://{address}/x");
    let sent =
        |body| Request::builder().method(Method::PUT).uri(&url).body(OutBody::Upload(body)).unwrap().into();
    let (sender, body) = upload(None);
    let feeding = async {
        assert!(sender.put(Bytes::from_static(b"abc")).await);
        sender.end();
    };
    let (answer, ()) = tokio::join!(client.send_any(sent(body), true, None), feeding);
    assert_eq!(answer.unwrap().body.collect().await.unwrap().to_bytes(), "ok");
    let (sender, body) = upload(Some(9));
    assert!(sender.put(Bytes::from_static(b"abc")).await);
    let answer = client.send_any(sent(body), true, None).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body.collect().await.unwrap().to_bytes(), "no");
    sender.unwanted().await;
    assert_eq!(ask(&client, address).await, ok("ok"));
    server.await.unwrap();
}

#[tokio::test]
async fn an_upload_that_breaks_breaks_the_request() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let (sender, body) = upload(None);
    sender.fail(UploadFailure::TooLarge { limit: 3 });
    let request = Request::post(format!("http://{address}/")).body(OutBody::Upload(body)).unwrap().into();
    let failed = client().send_any(request, true, None).await.map(|_| ());
    assert_eq!(failed, Err(ConnectFailure::Broken("the body exceeds the limit of 3 bytes".to_owned())));
    let (sender, body) = upload(Some(3));
    sender.end();
    let request = Request::post(format!("http://{address}/")).body(OutBody::Upload(body)).unwrap().into();
    assert!(matches!(client().send_any(request, true, None).await, Err(ConnectFailure::Broken(_))));
}

#[tokio::test]
async fn a_large_body_is_written_whole_and_read_whole() {
    let (listener, address) = listener().await;
    let large = Bytes::from(vec![b'x'; 3 << 20]);
    let length = large.len();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    });
    let request = Request::post(format!("http://{address}/")).body(large.clone()).unwrap();
    let answer = client().send(request, true).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), large);
    server.await.unwrap();
}

#[tokio::test]
async fn no_connection_is_said_so() {
    let (listener, address) = listener().await;
    drop(listener);
    assert!(matches!(ask(&client(), address).await, Err(ConnectFailure::Connect(_))));
    // Where private addresses are not allowed.
    let untrusted =
        client().send(Request::get("http://localhost:1/").body(Bytes::new()).unwrap(), false).await;
    assert!(matches!(untrusted.map(|_| ()), Err(ConnectFailure::Connect(_))));
}
