//! Streams that break off in the middle of a secret and are continued by another vendor: guards see one text.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};

use super::corpus::{Case, Hound, cases, cut_before, harmless};
use super::wire::{Front, Heard, all, world};
use crate::support::World;

const APART: Duration = Duration::from_millis(25);

/// More than any guard holds back, so that the stream has begun when it breaks.
fn lead() -> String {
    harmless(330)
}

/// Streams a case whose vendor breaks off after so many bytes of the secret; another one goes on from there.
async fn broken(world: &World, guards: &Value, case: &Case, cut: usize, front: Front) -> Heard {
    let (head, tail) = case.secret.split_at(cut);
    let first =
        Plan::new().say(Kind::Text, &lead()).then(Kind::Text, &format!("{}{head}", case.before), APART);
    let second = Plan::new().say(Kind::Text, &format!("{tail}{}", case.after));
    let first = format!("{}&close_after=2", world.mock.plan(first));
    let second = world.mock.plan(second);
    let target = |provider: &str, script: &str| {
        // In the model's name: other members don't reach a vendor of another dialect.
        json!({ "override_params": { "model": format!("@{provider}/mock?{script}") } })
    };
    let config = json!({
        "strategy": { "mode": "fallback", "continue_stream": true },
        "output_guardrails": guards,
        "targets": [target("openai-prod", &first), target("anthropic-prod", &second)],
    });
    let messages = json!([{ "role": "user", "content": "tell me" }]);
    let path = if front == Front::Messages { "/v1/messages" } else { "/v1/chat/completions" };
    let body = json!({ "model": "any", "stream": true, "max_tokens": 10_000, "messages": messages });
    let request = world
        .client
        .post(path, &body)
        .header("anthropic-version", "2023-06-01")
        .header("x-portkey-config", config.to_string());
    Heard::read(front, request.send().await, true).await
}

/// A few cuts of each secret, behind its first byte and before its last one too. All of them together are fewer than the
/// hundred continuations that a provider has saved up.
fn places(case: &Case) -> Vec<usize> {
    let length = case.secret.len();
    let mut places: Vec<usize> =
        [1, length / 2, length - 1].iter().map(|at| cut_before(&case.secret, *at)).collect();
    places.retain(|at| *at > 0);
    places.dedup();
    places
}

#[tokio::test]
async fn a_secret_across_two_vendors_is_masked_like_one_of_one() {
    let world = &world().await;
    let guards = &json!([{ "pii.redact": {}, "secrets.redact": {} }]);
    let cases = &cases();
    let asked = cases.iter().flat_map(|case| places(case).into_iter().map(move |cut| (case, cut)));
    let asked = asked.zip([Front::Chat, Front::Messages].into_iter().cycle());
    let joined = all(asked.map(|((case, cut), front)| async move {
        let heard = broken(world, guards, case, cut, front).await;
        let what = format!("{front:?} {:?} cut {cut}", case.secret);
        let hound = Hound::of([case.secret.as_str()]);
        assert_eq!(hound.sniff(heard.text(Kind::Text)), None, "{what}: {}", heard.raw);
        assert_eq!(heard.text(Kind::Text), lead() + &case.masked(), "{what}: {}", heard.raw);
        assert!(heard.ended && heard.error.is_none(), "{what}: {}", heard.raw);
        assert!(heard.raw.contains(": continued by config.targets[1]"), "{what}: {}", heard.raw);
    }))
    .await;
    assert!((80..100).contains(&joined.len()), "{}", joined.len());
}

#[tokio::test]
async fn a_secret_across_two_vendors_is_denied_and_nothing_of_it_leaves() {
    let world = &world().await;
    let guards = &json!([{ "pii.detect": {}, "secrets.detect": {}, "deny": true }]);
    let cases = &cases();
    let asked = cases.iter().flat_map(|case| places(case).into_iter().map(move |cut| (case, cut)));
    all(asked.map(|(case, cut)| async move {
        let heard = broken(world, guards, case, cut, Front::Chat).await;
        let what = format!("{:?} cut {cut}", case.secret);
        let before = lead() + case.before;
        assert!(before.starts_with(heard.text(Kind::Text)), "{what}: {}", heard.raw);
        assert_eq!(heard.finishes, ["content_filter"], "{what}: {}", heard.raw);
        assert!(heard.error.is_some(), "{what}: {}", heard.raw);
    }))
    .await;
}
