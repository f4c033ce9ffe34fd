//! Which calls match.

use proptest::prelude::*;
use tidegate_plugin_sdk::testing::matches;
use tidegate_plugin_sdk::{CallView, Message, Plugin};

use super::{Prompt, language};

fn call(messages: &[(&str, &str)]) -> CallView {
    let message = |(role, text): &(&str, &str)| Message {
        role: (*role).to_owned(),
        text: Some((*text).to_owned()),
        ..Message::default()
    };
    CallView { messages: messages.iter().map(message).collect(), ..CallView::default() }
}

#[test]
fn prompts_are_measured_in_characters_of_all_messages() {
    let call = call(&[("system", "éé"), ("user", "abc")]);
    let longer =
        |than: u32| matches::<Prompt>("longer_than", &format!(r#"{{"characters": {than}}}"#), &call).unwrap();
    assert!(longer(0) && longer(4));
    assert!(!longer(5) && !longer(6));
}

#[test]
fn languages_are_told_apart() {
    for (text, code) in [
        ("What is the capital of France?", Some("en")),
        ("Was ist die Hauptstadt von Frankreich?", Some("de")),
        ("Quelle est la capitale de la France ?", Some("fr")),
        ("¿Cuál es la capital de los Países Bajos y por qué?", Some("es")),
        ("Qual è la capitale della Francia e come si chiama?", Some("it")),
        ("Você sabe qual é a capital da França? Não sei.", Some("pt")),
        ("Wat is de hoofdstad van het land?", Some("nl")),
        ("Jak się masz i co to jest?", Some("pl")),
        ("Bu nasıl bir şey ve ne için?", Some("tr")),
        ("Какая столица Франции?", Some("ru")),
        ("Яка столиця України і чому?", Some("uk")),
        ("法国的首都是什么?", Some("zh")),
        ("フランスの首都は何ですか?", Some("ja")),
        ("프랑스의 수도는?", Some("ko")),
        ("ما هي عاصمة فرنسا؟", Some("ar")),
        ("Ποια είναι η πρωτεύουσα;", Some("el")),
        ("12345 !?", None),
        ("", None),
    ] {
        assert_eq!(language::of(text), code, "{text}");
    }
}

#[test]
fn what_the_user_said_last_decides() {
    let call = call(&[
        ("user", "What is the capital of France?"),
        ("assistant", "Paris is the capital of France."),
        ("user", "Und was ist die von Italien?"),
        ("assistant", "It is the city of Rome."),
    ]);
    let speaks =
        |codes: &str| matches::<Prompt>("language", &format!(r#"{{"any_of": {codes}}}"#), &call).unwrap();
    assert!(speaks(r#"["de"]"#) && speaks(r#"["en", "de"]"#));
    assert!(!speaks(r#"["en"]"#));
}

#[test]
fn unknown_languages_are_refused() {
    let error = matches::<Prompt>("language", r#"{"any_of": ["xx"]}"#, &call(&[])).unwrap_err();
    assert_eq!(error.message, "parameters: any_of: `xx` is not a language this plugin knows");
}

#[test]
fn nothing_granted_matches_nothing() {
    let empty = CallView::default();
    assert_eq!(matches::<Prompt>("longer_than", r#"{"characters": 0}"#, &empty), Ok(false));
    assert_eq!(matches::<Prompt>("language", r#"{"any_of": ["en"]}"#, &empty), Ok(false));
    assert_eq!(Prompt::manifest().wants, ["messages"]);
}

proptest! {
    #[test]
    fn any_text_has_a_known_language_or_none(text in "\\PC{0,80}") {
        prop_assert!(language::of(&text).is_none_or(language::is_known));
    }
}
