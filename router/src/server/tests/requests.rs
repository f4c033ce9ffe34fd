//! What a client may send, and how.

use std::time::{Duration, Instant};

use actix_web::error::PayloadError;
use tokio::io::AsyncWriteExt;

use super::support::{connect, connect_with, terms};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[actix_web::test]
async fn a_request_is_answered_and_the_connection_kept() {
    let mut peer = connect();
    for _ in 0..3 {
        peer.send(GET).await;
        let answer = peer.read_to("hello").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"), "{answer}");
        assert!(answer.contains("\r\ndate: "), "{answer}");
        assert!(!answer.contains("connection:"), "{answer}");
    }
    assert_eq!(peer.seen.writes.get(), 3, "one write an answer");
    drop(peer.io.shutdown().await);
    assert_eq!(peer.read_all().await, "");
    peer.ended().await;
}

#[actix_web::test]
async fn a_head_may_come_in_pieces() {
    let mut peer = connect();
    for byte in GET.bytes() {
        peer.send([byte]).await;
        peer.settle().await;
    }
    peer.read_to("hello").await;
    assert_eq!(peer.seen.calls.get(), 1);
}

#[actix_web::test]
async fn requests_may_be_sent_before_their_turn() {
    let mut peer = connect();
    let post = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n";
    peer.send(format!("{GET}{post}one{post}two{GET}")).await;
    let read = peer.read_to("two@a").await;
    let bodies: Vec<_> =
        read.split("\r\n\r\n").map(|part| part.split("HTTP").next().unwrap_or_default()).collect();
    assert_eq!(bodies, ["", "hello", "one@a", "two@a"]);
    peer.read_to("hello").await;
    assert_eq!(peer.seen.calls.get(), 4);
}

#[actix_web::test]
async fn requests_may_be_cut_anywhere() {
    let chunks =
        "POST /echo HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n1\r\n!\r\n0\r\n\r\n";
    let head = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";
    let sized = "POST /echo HTTP/1.1\r\nhost: c\r\ncontent-length: 3\r\n\r\ntwo";
    let last = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let all = format!("{GET}{chunks}{head}\r\n{sized}{chunks}{last}");
    let whole = answers([&all, ""]).await;
    assert_eq!(whole.matches("HTTP/1.1 200 OK").count(), 6, "{whole}");
    assert!(whole.contains("two@c") && whole.ends_with("hello"), "{whole}");
    for at in 1..all.len() {
        let (first, rest) = all.split_at(at);
        assert_eq!(answers([first, rest]).await, whole, "cut after {first:?}");
    }
}

/// Returns all answers to requests that come in two parts, without their dates.
async fn answers(parts: [&str; 2]) -> String {
    let mut peer = connect();
    for part in parts {
        peer.send(part).await;
        peer.settle().await;
    }
    let answers = peer.read_all().await;
    answers.split("\r\n").filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\r\n")
}

#[actix_web::test]
async fn requests_are_answered_in_order_and_not_at_once() {
    let mut peer = connect();
    peer.send(format!("GET /drip HTTP/1.1\r\nhost: a\r\n\r\n{GET}")).await;
    peer.settle().await;
    assert_eq!(peer.seen.calls.get(), 1, "one at a time");
    peer.give("first");
    peer.drip = None;
    let answer = peer.read_to("hello").await;
    assert!(answer.contains("5\r\nfirst\r\n0\r\n\r\nHTTP/1.1 200 OK"), "{answer}");
}

#[actix_web::test]
async fn what_is_sent_before_its_turn_is_bounded() {
    let mut peer = connect_with(terms(), 4 << 10);
    peer.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut sent = 0;
    let piece = [b'x'; 4 << 10];
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(100), peer.io.write_all(&piece)).await {
        sent += piece.len();
        assert!(sent < 1 << 20, "all of it is taken");
    }
    assert!(sent >= 64 << 10, "{sent}");
}

#[actix_web::test]
async fn an_empty_line_before_a_request_is_skipped() {
    let mut peer = connect();
    peer.send(format!("\r\n{GET}\r\n\r\n")).await;
    peer.read_to("hello").await;
    peer.send(GET).await;
    peer.read_to("hello").await;
}

#[actix_web::test]
async fn a_body_may_come_in_pieces() {
    for path in ["/echo", "/codec"] {
        let mut peer = connect();
        peer.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n")).await;
        for byte in *b"pieces" {
            peer.settle().await;
            peer.send([byte]).await;
        }
        peer.read_to("\r\n\r\npieces@a").await;
        peer.send(GET).await;
        peer.read_to("hello").await;
    }
}

#[actix_web::test]
async fn a_body_may_end_where_no_more_is_read_ahead() {
    for path in ["/echo", "/codec"] {
        for length in [(32 << 10) - 1, 32 << 10, (32 << 10) + 1, 64 << 10] {
            let mut peer = connect();
            peer.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")).await;
            peer.settle().await;
            peer.send(vec![b'x'; length]).await;
            let answer = peer.read_to("@a").await;
            assert!(answer.contains(&"x".repeat(length)), "{path} {length}");
        }
    }
}

#[actix_web::test]
async fn who_reads_a_request_makes_no_difference() {
    let answer_of = async |path: &str, lines: &str, body: &str| {
        let mut peer = connect();
        peer.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")).await;
        drop(peer.io.shutdown().await);
        let answer = peer.read_all().await;
        let lines: Vec<&str> = answer.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
        (lines.join("\r\n"), peer.seen.calls.get())
    };
    for (lines, body) in [
        ("content-length: 4\r\n", "body"),
        ("Content-Length:4\r\nConnection: Keep-Alive\r\n", "body"),
        ("content-length: 4\r\nconnection: close\r\n", "body"),
        ("content-length: 0\r\n", ""),
        ("content-length: 5\r\n", "body"),
        ("content-length: 4\r\ncontent-length: 4\r\n", "body"),
        ("content-length: 4\r\nhost: b\r\n", "body"),
        ("content-length: +4\r\n", "body"),
        ("content-length: 4, 4\r\n", "body"),
        ("content-length: 4\r\ntransfer-encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n"),
        ("transfer-encoding: gzip\r\ncontent-length: 4\r\n", "body"),
        ("content-length: 4\r\n folded: x\r\n", "body"),
        ("content-length: 4\r\nx : y\r\n", "body"),
        ("", ""),
    ] {
        let here = answer_of("/echo", lines, body).await;
        assert_eq!(here, answer_of("/codec", lines, body).await, "{lines}");
    }
}

#[actix_web::test]
async fn a_body_may_come_in_chunks() {
    let mut peer = connect();
    let body = "2\r\nth\r\n3;of=course\r\nree\r\n0\r\ntrailer: one\r\n\r\n";
    let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    peer.send(&request).await;
    peer.read_to("\r\n\r\nthree@a").await;
    for byte in request.bytes() {
        peer.settle().await;
        peer.send([byte]).await;
    }
    peer.read_to("\r\n\r\nthree@a").await;
}

#[actix_web::test]
async fn a_large_body_comes_whole() {
    let mut peer = connect_with(terms(), 3_000);
    let body = "0123456789".repeat(100_000);
    peer.send(format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len())).await;
    peer.send(&body).await;
    let answer = peer.read_to("@a").await;
    assert!(answer.ends_with(&format!("\r\n\r\n{body}@a")));
}

#[actix_web::test]
async fn a_handler_that_reads_slowly_slows_its_client() {
    let mut peer = connect_with(terms(), 1_000);
    peer.send("POST /sip HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").await;
    let body = vec![b'x'; 1_000_000];
    let Err(_) = tokio::time::timeout(Duration::from_millis(200), peer.io.write_all(&body)).await else {
        panic!("all of it is taken");
    };
    assert_eq!(peer.seen.taken.get(), 0);
    peer.sip.send(()).expect("it waits");
    peer.settle().await;
    let taken = peer.seen.taken.get();
    assert!((1..40_000).contains(&taken), "{taken}");
}

#[actix_web::test]
async fn a_body_that_breaks_off_is_no_body() {
    for framing in ["content-length: 9\r\n\r\n", "transfer-encoding: chunked\r\n\r\n9\r\n"] {
        let mut peer = connect();
        peer.send(format!("POST /echo HTTP/1.1\r\nhost: a\r\n{framing}half")).await;
        peer.settle().await;
        peer.io.shutdown().await.expect("it is open");
        let answer = peer.read_all().await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("no body"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(matches!(*peer.seen.ended.borrow(), Some(PayloadError::Incomplete(_))));
        peer.ended().await;
    }
}

#[actix_web::test]
async fn a_garbled_body_ends_the_connection() {
    let mut peer = connect();
    let chunked = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    peer.send(format!("{chunked}2\r\nxxyy\r\n{GET}")).await;
    let answer = peer.read_to("no body").await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(matches!(*peer.seen.ended.borrow(), Some(PayloadError::EncodingCorrupted)));
    peer.io.shutdown().await.expect("it is open");
    assert_eq!(peer.read_all().await, "", "what follows is no request");
    peer.ended().await;
}

#[actix_web::test]
async fn a_client_that_waits_is_told_to_continue() {
    let mut peer = connect();
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    peer.send(head).await;
    assert_eq!(peer.read_to("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("good").await;
    let answer = peer.read_to("good@a").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    peer.send(format!("{head}here")).await;
    let answer = peer.read_to("here@a").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "it didn't wait: {answer}");
}

#[actix_web::test]
async fn a_body_that_is_not_read_is_no_request() {
    let mut peer = connect();
    // All of it is there: the connection goes on.
    peer.send(format!("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{GET}", GET.len()))
        .await;
    let answer = peer.read_to("who?").await;
    assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("connection:"), "{answer}");
    peer.send(GET).await;
    peer.read_to("hello").await;
    // It is still to come: it is the last request.
    peer.send(format!("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 10 * GET.len()))
        .await;
    let answer = peer.read_to("who?").await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    peer.send(GET).await;
    peer.io.shutdown().await.expect("it is still listened to");
    assert_eq!(peer.read_all().await, "");
    peer.ended().await;
    assert_eq!(peer.seen.calls.get(), 3);
}

#[actix_web::test]
async fn a_client_is_not_listened_to_for_ever() {
    let mut peer =
        connect_with(super::super::Terms { farewell: Duration::from_millis(20), ..terms() }, 1_000);
    peer.send("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n").await;
    peer.ended().await;
}

#[actix_web::test]
async fn what_is_no_request_is_refused() {
    for (request, status) in [
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", "400 Bad Request"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "400 Bad Request",
        ),
    ] {
        let mut peer = connect();
        peer.send(request).await;
        let answer = peer.read_to("\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        peer.io.shutdown().await.expect("it is open");
        peer.ended().await;
        assert_eq!(peer.seen.calls.get(), 0);
    }
}

#[actix_web::test]
async fn a_head_may_not_be_endless() {
    let mut peer = connect();
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
    peer.send(vec![b'x'; 131_072]).await;
    let answer = peer.read_to("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let mut peer = connect();
    peer.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(100_000))).await;
    peer.read_to("hello").await;
}

#[actix_web::test]
async fn a_head_may_not_take_for_ever() {
    let soon = || super::super::Terms { head: Duration::from_millis(50), ..terms() };
    for first in ["", "GET / HT"] {
        let mut peer = connect_with(soon(), 1_000);
        peer.send(first).await;
        let answer = peer.read_to("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let mut peer = connect_with(soon(), 1_000);
    peer.send(GET).await;
    peer.read_to("hello").await;
    // The next request may be late, but not slow.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    peer.send("GET / HT").await;
    let answer = peer.read_to("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(begun.elapsed() >= Duration::from_millis(45), "{:?}", begun.elapsed());
}

#[actix_web::test]
async fn a_connection_that_is_not_used_is_closed() {
    let mut peer = connect_with(super::super::Terms { idle: Duration::from_millis(50), ..terms() }, 1_000);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        peer.send(GET).await;
        peer.read_to("hello").await;
    }
    assert_eq!(peer.read_all().await, "");
    peer.ended().await;
}

#[actix_web::test]
async fn a_request_without_a_host_gets_ours() {
    let mut peer = connect();
    peer.send("POST /echo HTTP/1.0\r\ncontent-length: 2\r\n\r\nmy").await;
    let answer = peer.read_all().await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("my@here:8787"), "{answer}");
    peer.ended().await;
}
