//! A plugin replaced under a thousand running streams.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};
use tidegate_tests::{Gateway, wait};

use super::wire::{Ask, CHAT, CHAT_OVER_ANTHROPIC, Heard, MESSAGES, RESPONSES, world};
use crate::support::World;

const STREAMS: usize = 1_000;
const SWAPS: usize = 20;
/// Secrets in each stream, and what upstream waits between them.
const SECRETS: usize = 10;
const PAUSE: Duration = Duration::from_millis(2_000);

/// The bundled plugin as it is, and with another word in its table: same code, other digest, other mask.
fn versions() -> [Vec<u8>; 2] {
    let original = include_bytes!("../../../plugins/secrets/secrets.wasm").to_vec();
    let (word, other) = (b"github_token", b"github_xoken");
    let mut changed = original.clone();
    let mut count = 0;
    for at in 0..changed.len() - word.len() {
        if changed[at..].starts_with(word) {
            changed[at..at + word.len()].copy_from_slice(other);
            count += 1;
        }
    }
    assert!(count > 0, "the table is in the file");
    [original, changed]
}

const MASKS: [&str; 2] = ["[GITHUB_TOKEN]", "[GITHUB_XOKEN]"];

fn put(gateway: &Gateway, bytes: &[u8]) {
    let folder = gateway.settings_path().with_file_name("plugins");
    fs::create_dir_all(&folder).expect("the plugin folder");
    fs::write(folder.join(".new"), bytes).expect("a file");
    fs::rename(folder.join(".new"), folder.join("secrets.wasm")).expect("a plugin");
}

async fn secrets(gateway: &Gateway) -> Value {
    let list = gateway.admin().get("/v1/plugins").send().await.expect(200).await;
    let all = list["data"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    all.iter().find(|plugin| plugin["id"] == "secrets").cloned().unwrap_or_default()
}

/// Replaces the plugin and waits until another version is in force. Returns its digest.
async fn swap(gateway: &Gateway, bytes: &[u8]) -> String {
    let before = secrets(gateway).await["digest"].clone();
    put(gateway, bytes);
    wait::until_async("the other version to be in force", || async {
        let now = secrets(gateway).await;
        let digest = now["digest"].as_str()?;
        (now["source"] == "folder" && now["digest"] != before).then(|| digest.to_owned())
    })
    .await
}

fn token(number: usize) -> String {
    format!("ghp_{:0>36}", format!("a1B2{number}"))
}

#[tokio::test]
async fn a_thousand_streams_keep_their_version_while_the_plugin_is_replaced_twenty_times() {
    let World { mock, client, gateway } = &world().await;
    let versions = versions();
    // The bundled one is in force: the first swap brings the same bytes from the folder, so start with the other.
    swap(gateway, &versions[1]).await;
    swap(gateway, &versions[0]).await;
    let stream = |number: usize| async move {
        // They begin over the time of several swaps, so that every version has streams of its own.
        tokio::time::sleep(Duration::from_millis(10) * number as u32).await;
        let pair = [CHAT, MESSAGES, RESPONSES, CHAT_OVER_ANTHROPIC][number % 4];
        let ask = Ask { client, mock, pair, guards: json!([{ "secrets.redact": {} }]) };
        let mut plan = Plan::new();
        let mut wanted = String::new();
        for at in 0..SECRETS {
            let secret = token(number * 100 + at);
            // Cut in the secret: the window before and the one after must be the same version's.
            let (head, tail) = secret.split_at(1 + (number + at) % (secret.len() - 1));
            plan = plan.then(Kind::Text, &format!("{at}: {head}"), PAUSE);
            plan = plan.say(Kind::Text, &format!("{tail}, größer "));
            wanted.push_str(&format!("{at}: %, größer "));
        }
        let directives = mock.plan(plan);
        let mut answer = ask.request(&directives, 1, true).try_send().await.expect("no reset");
        assert_eq!(answer.status, 200, "{number}");
        // The pauses are shorter than a test's patience for one read, the stream is longer.
        let mut bytes = Vec::new();
        while let Some(piece) = answer.next_bytes().await {
            bytes.extend_from_slice(&piece);
        }
        assert!(!answer.was_cut(), "stream {number} was reset");
        let heard = Heard::of(pair.front, 200, String::from_utf8(bytes).expect("UTF-8"));
        assert!(heard.ended && heard.error.is_none(), "stream {number}: {}", heard.raw);
        let text = heard.text(Kind::Text).to_owned();
        let version = MASKS.iter().position(|mask| text == wanted.replace('%', mask));
        version
            .unwrap_or_else(|| panic!("stream {number} was not masked by one version, or lost bytes: {text}"))
    };
    let streams = futures_util::future::join_all((0..STREAMS).map(stream));
    let swaps = async {
        let mut digests = BTreeSet::new();
        for number in 1..=SWAPS {
            digests.insert(swap(gateway, &versions[number % 2]).await);
        }
        digests
    };
    let (seen, digests) = tokio::join!(streams, swaps);
    let by_version = [0, 1].map(|version| seen.iter().filter(|seen| **seen == version).count());
    println!("{STREAMS} streams over {SWAPS} swaps: {by_version:?} by version");
    assert!(by_version.iter().all(|count| *count > 0), "{by_version:?}");
    assert_eq!(digests.len(), 2);
    // What ran on old versions is over: they are freed.
    wait::until_async("old versions to be freed", || async {
        let plugin = secrets(gateway).await;
        let versions = plugin["versions"].as_array()?;
        let used = versions.iter().filter(|version| version["in_use"] == true);
        let states: Vec<&Value> = used.map(|version| &version["state"]).collect();
        (states == [&json!("live")]).then_some(())
    })
    .await;
}
