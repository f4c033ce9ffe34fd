//! How answers leave, and what ends them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{connect, connect_with, terms};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

#[actix_web::test]
async fn pieces_leave_as_they_come() {
    let mut peer = connect();
    peer.send(get("/drip")).await;
    let head = peer.read_to("\r\n\r\n").await;
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    for piece in ["one", "two"] {
        peer.give(piece);
        assert_eq!(peer.read_to(&format!("{piece}\r\n")).await, format!("3\r\n{piece}\r\n"));
    }
    assert_eq!(peer.seen.writes.get(), 3);
    peer.drip = None;
    assert_eq!(peer.read_to("0\r\n\r\n").await, "0\r\n\r\n");
    assert_eq!(peer.seen.writes.get(), 4);
}

#[actix_web::test]
async fn pieces_that_are_ready_leave_together() {
    let mut peer = connect();
    for piece in ["one", "", "two", "three"] {
        peer.give(piece);
    }
    peer.send(get("/drip")).await;
    let answer = peer.read_to("three\r\n").await;
    assert!(answer.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n"), "{answer}");
    assert_eq!(peer.seen.writes.get(), 1, "the head and all pieces");
    for _ in 0..100 {
        peer.give("x");
    }
    peer.drip = None;
    peer.read_to("\r\n0\r\n\r\n").await;
    assert_eq!(peer.seen.writes.get(), 2, "all pieces and the end");
}

#[actix_web::test]
async fn a_client_that_reads_slowly_slows_its_answer() {
    let mut peer = connect_with(terms(), 1_000);
    peer.send(get("/flood")).await;
    peer.settle().await;
    let given = peer.seen.given.get();
    assert!(given <= 72 << 10, "{given}");
    let mut half = vec![0; given / 2];
    peer.io.read_exact(&mut half).await.expect("reads");
    peer.settle().await;
    assert_eq!(peer.seen.given.get(), given, "nothing more before all is taken");
    peer.io.read_exact(&mut vec![0; given]).await.expect("reads");
    assert!(peer.seen.given.get() > given);
}

#[actix_web::test]
async fn a_client_that_closes_is_gone() {
    for path in ["/wait", "/drip"] {
        let mut peer = connect();
        peer.send(get(path)).await;
        peer.settle().await;
        assert!(!peer.seen.dropped.get());
        // Its side only: nothing says that it still reads.
        peer.io.shutdown().await.expect("it is open");
        peer.ended().await;
        assert!(peer.seen.dropped.get(), "{path}");
    }
}

#[actix_web::test]
async fn a_client_that_goes_away_is_gone() {
    let mut peer = connect_with(terms(), 1_000);
    peer.send(get("/flood")).await;
    peer.settle().await;
    let given = peer.seen.given.get();
    // What was its end is dropped.
    peer.io = tokio::io::duplex(1).0;
    peer.ended().await;
    assert_eq!(peer.seen.given.get(), given);
}

#[actix_web::test]
async fn an_answer_that_breaks_off_has_no_end() {
    let mut peer = connect();
    peer.give("half");
    peer.send(get("/drip")).await;
    peer.drip.take().expect("a sender").send(Err(std::io::Error::other("cut"))).expect("it is read");
    let answer = peer.read_all().await;
    assert!(answer.ends_with("\r\n4\r\nhalf\r\n"), "{answer}");
    peer.ended().await;
    let mut peer = connect();
    peer.send(get("/short")).await;
    let answer = peer.read_all().await;
    assert!(answer.contains("content-length: 100") && answer.ends_with("\r\n\r\ntoo short"), "{answer}");
    peer.ended().await;
}

#[actix_web::test]
async fn the_answer_to_head_is_a_head() {
    let mut peer = connect();
    peer.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = peer.read_to("\r\n\r\n").await;
    assert!(answer.contains("\r\ncontent-length: 5\r\n"), "{answer}");
    peer.send("HEAD /flood HTTP/1.1\r\nhost: a\r\n\r\n").await;
    peer.read_to("\r\n\r\n").await;
    peer.send(get("/")).await;
    let answer = peer.read_to("hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[actix_web::test]
async fn an_old_client_reads_to_the_end_of_the_connection() {
    let mut peer = connect();
    peer.give("all of ");
    peer.give("it");
    peer.drip = None;
    peer.send("GET /drip HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let answer = peer.read_all().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nall of it"), "{answer}");
    assert!(!answer.contains("chunked") && !answer.contains("keep-alive"), "{answer}");
    peer.ended().await;
}

#[actix_web::test]
async fn an_old_client_may_keep_its_connection() {
    let mut peer = connect();
    for _ in 0..2 {
        peer.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
        let answer = peer.read_to("hello").await;
        assert!(answer.contains("\r\nconnection: keep-alive\r\n"), "{answer}");
    }
    peer.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(peer.read_all().await.ends_with("hello"));
    peer.ended().await;
}

#[actix_web::test]
async fn a_client_that_asks_for_it_is_closed() {
    let mut peer = connect();
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let answer = peer.read_all().await;
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    peer.ended().await;
}

#[actix_web::test]
async fn an_error_of_a_handler_is_an_answer() {
    let mut peer = connect();
    peer.send(get("/fail")).await;
    let answer = peer.read_to("oh").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    peer.send(get("/")).await;
    peer.read_to("hello").await;
}

#[actix_web::test]
async fn a_stop_closes_connections_that_wait() {
    let mut peer = connect();
    peer.settle().await;
    peer.stop.send_replace(true);
    peer.ended().await;
    let mut peer = connect();
    peer.send(get("/")).await;
    peer.read_to("hello").await;
    peer.settle().await;
    peer.stop.send_replace(true);
    peer.ended().await;
}

#[actix_web::test]
async fn a_stop_lets_answers_finish() {
    let mut peer = connect();
    peer.send(get("/drip")).await;
    peer.read_to("\r\n\r\n").await;
    peer.stop.send_replace(true);
    peer.settle().await;
    peer.give("late");
    peer.drip = None;
    assert_eq!(peer.read_all().await, "4\r\nlate\r\n0\r\n\r\n");
    peer.ended().await;
}

#[actix_web::test]
async fn an_answer_after_a_stop_says_that_it_is_the_last() {
    let mut peer = connect_with(terms(), 1 << 20);
    peer.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    peer.stop.send_replace(true);
    peer.settle().await;
    peer.send("x").await;
    let answer = peer.read_all().await;
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("x@a"), "{answer}");
    peer.ended().await;
}

#[actix_web::test]
async fn a_connection_is_small() {
    let size = connect().size;
    assert!(size <= 1_280, "{size} bytes a connection beside its handler");
}
