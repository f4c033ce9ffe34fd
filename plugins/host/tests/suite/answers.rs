//! What guests answer, and what of it is taken.

use tidegate_plugin_host::{CallError, Setup, StreamWindow, Verdict, WindowVerdict};

use crate::guest::{Guest, words};
use crate::{call_view, check, load, load_with, run, subject};

fn masks(piece: u32, spans: &[(u32, u32)], text: &str) -> Result<Verdict, CallError> {
    let mut guest = Guest::checks("");
    let mask = guest.mask(piece, spans);
    guest.check = Some(format!("(i32.const {mask})"));
    let plugin = load(guest);
    run(check(&plugin, text)).map(|judgement| judgement.verdict)
}

#[test]
fn every_verdict_arrives() {
    let mut guest = Guest::checks("");
    let reason = [guest.text("found"), guest.text("Something was found.")].concat();
    let body = guest.text("{\"messages\":[]}");
    let answers = [
        guest.judgement(0, &[], Some("{\"score\":1}")),
        guest.mask(0, &[(0, 2), (3, 4)]),
        guest.judgement(2, &body, None),
        guest.judgement(3, &reason, None),
        guest.judgement(4, &reason, None),
    ];
    let table = guest.put(&words(&answers));
    // The answer's number is the first digit of the text.
    guest.check = Some(format!(
        "(i32.load offset={table} (i32.mul (i32.const 4) (i32.sub
           (i32.load8_u (i32.load offset=20 (i32.load offset=100 (local.get $args)))) (i32.const 48))))"
    ));
    let plugin = load(guest);
    run(async {
        let mut judgements = Vec::new();
        for text in ["0...", "1...", "2...", "3...", "4..."] {
            judgements.push(check(&plugin, text).await.unwrap());
        }
        assert_eq!(judgements[0].verdict, Verdict::Pass);
        assert_eq!(judgements[0].data_json.as_deref(), Some("{\"score\":1}"));
        assert!(
            matches!(&judgements[1].verdict, Verdict::Mask(masks) if masks[0].spans[1].replacement == "*")
        );
        assert_eq!(judgements[2].verdict, Verdict::Rewrite("{\"messages\":[]}".to_owned()));
        assert!(matches!(&judgements[3].verdict, Verdict::Fail(reason) if reason.code == "found"));
        assert!(
            matches!(&judgements[4].verdict, Verdict::Block(reason) if reason.message == "Something was found.")
        );
    });
    let verdicts = plugin.statistics().verdicts;
    assert_eq!(verdicts, ["block", "fail", "mask", "pass", "rewrite"].map(|kind| (kind, 1)).into());
}

#[test]
fn spans_that_do_not_fit_the_text_are_an_error_of_the_check() {
    for (piece, spans, text) in [
        (0, &[(0, 9)][..], "12345678"),
        (0, &[(0, 4), (2, 6)], "12345678"),
        (0, &[(4, 6), (0, 2)], "12345678"),
        (0, &[(3, 2)], "12345678"),
        (0, &[(0, 1)], "äöü"),
        (1, &[(0, 1)], "12345678"),
        (u32::MAX, &[(0, 1)], "12345678"),
    ] {
        let error = masks(piece, spans, text).unwrap_err();
        assert!(matches!(error, CallError::BadSpans(_)), "{spans:?}: {error:?}");
    }
    assert!(masks(0, &[(0, 2), (2, 4)], "äöü").is_ok());
}

#[test]
fn changes_that_the_manifest_does_not_declare_are_not_taken() {
    for rewrite in [false, true] {
        let mut guest = Guest::checks("");
        guest.manifest.checks[0].mutates = false;
        let body = guest.text("{}");
        let answer = if rewrite { guest.judgement(2, &body, None) } else { guest.mask(0, &[(0, 1)]) };
        guest.check = Some(format!("(i32.const {answer})"));
        let error = run(check(&load(guest), "text")).unwrap_err();
        assert_eq!(error, CallError::NotDeclared(if rewrite { "rewrite" } else { "mask" }));
    }
}

#[test]
fn json_that_is_none_is_not_taken() {
    for (body, data) in [("{", None), ("[]", None), ("", None), ("{}", Some("{")), ("{}", Some("1"))] {
        let mut guest = Guest::checks("");
        let body = guest.text(body);
        let answer = guest.judgement(2, &body, data);
        guest.check = Some(format!("(i32.const {answer})"));
        let error = run(check(&load(guest), "text")).unwrap_err();
        assert!(matches!(error, CallError::BadData(_)), "{error:?}");
    }
}

#[test]
fn names_that_the_plugin_does_not_have_are_unknown() {
    let plugin = load(Guest::passes());
    run(async {
        let subject = subject(&["text"]);
        let unknown = CallError::Unknown { check: "other".to_owned() };
        assert_eq!(plugin.check("t", "other", "{}", subject.clone(), None).await, Err(unknown.clone()));
        assert_eq!(plugin.matches("t", "other", "{}", &call_view(), None).await, Err(unknown));
        let streams = plugin.needs("t", "check", "{}", None).await;
        assert_eq!(streams, Err(CallError::NotDeclared("a stream check")));
    });
    assert_eq!(plugin.statistics().calls, 0);
}

fn window(text: &str) -> StreamWindow {
    StreamWindow {
        text: text.to_owned(),
        overlap: 0,
        last: false,
        kind: "text".to_owned(),
        index: 0,
        state: b"before".to_vec(),
    }
}

#[test]
fn windows_get_their_state_and_answer_with_the_next() {
    // Answers pass and returns the state it was given: result case, verdict with 4 words, state, data-json.
    let guest = Guest::passes().with_window(
        "(i32.store (i32.const 24) (local.get $state)) (i32.store (i32.const 28) (local.get $state-length)) \
         (i32.const 0)",
    );
    let plugin = load(guest);
    run(async {
        let needs = plugin.needs("t", "check", "{}", None).await.unwrap();
        assert_eq!((needs.lookahead, needs.overlap), (0, 0));
        let answer = plugin.window("t", "check", "{}", window("text"), None).await.unwrap();
        assert_eq!((answer.verdict, answer.state), (WindowVerdict::Pass, b"before".to_vec()));
    });
}

#[test]
fn spans_of_windows_are_checked_against_the_windows_text() {
    let mut guest = Guest::passes();
    let spans = guest.spans(&[(2, 4)]);
    let answer = guest.put(&[words(&[0, 1]), spans, words(&[0; 7])].concat());
    let plugin = load_with(guest.with_window(&format!("(i32.const {answer})")), Setup::default());
    run(async {
        let fits = plugin.window("t", "check", "{}", window("1234"), None).await.unwrap();
        assert!(matches!(fits.verdict, WindowVerdict::Mask(spans) if spans[0].end == 4));
        for text in ["123", "123ä"] {
            let error = plugin.window("t", "check", "{}", window(text), None).await.unwrap_err();
            assert!(matches!(error, CallError::BadSpans(_)), "{text}: {error:?}");
        }
    });
}

#[test]
fn conditions_decide() {
    // True for streams: the flag is at 16 + 68 of the arguments.
    let guest = Guest::passes()
        .with_condition("(i32.store8 (i32.const 4) (i32.load8_u offset=84 (local.get $args))) (i32.const 0)");
    let plugin = load(guest);
    run(async {
        for stream in [true, false] {
            let call = tidegate_plugin_host::CallView { stream, ..call_view() };
            assert_eq!(plugin.matches("t", "when", "{}", &call, None).await, Ok(stream));
        }
    });
}
