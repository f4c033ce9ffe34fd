//! YAML as a tree of values with their lines.
//!
//! Reads plain scalars as Python's YAML 1.1 does where that is what LiteLLM sees (`yes`, `off`), and numbers as the
//! text they are, so that prices stay exact. Bounded: depth, and values including what aliases repeat. Refuses what
//! has no one meaning: keys that are no scalars, aliases of what is still open.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::error::ImportError;

/// Deeper than any configuration, shallow enough for any stack.
const DEPTH: usize = 64;
/// Values of a document; aliases count as what they repeat.
const MOST_VALUES: usize = 100_000;
/// Longest text that is read.
const LONGEST: usize = 4 << 20;

/// A value and its line.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) data: Data,
}

/// What a value is. Numbers are kept as written.
#[derive(Clone)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

enum Frame {
    List { items: Vec<Node>, anchor: usize, line: usize },
    Map { entries: Vec<(String, Node)>, key: Option<String>, anchor: usize, line: usize },
}

#[derive(Default)]
struct Builder {
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
    root: Option<Node>,
}

/// Reads the first document; a second one is refused.
pub(crate) fn parse(text: &str) -> Result<Node, ImportError> {
    if text.len() > LONGEST {
        return Err(ImportError::at("", format!("is too long; at most {LONGEST} bytes are accepted")));
    }
    let mut builder = Builder::default();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            ImportError::at_line(error.marker().line(), format!("not YAML: {}", error.info()))
        })?;
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(ImportError::at_line(line, "a second document begins; one is expected"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                let data = match style {
                    ScalarStyle::Plain if !is_text => plain(&text),
                    _ => Data::Text(text.into_owned()),
                };
                builder.scalar(Node { line, data }, anchor)?;
            }
            Event::Alias(anchor) => builder.alias(anchor, line)?,
            Event::SequenceStart(anchor, _) => {
                builder.open(Frame::List { items: Vec::new(), anchor, line }, line)?;
            }
            Event::MappingStart(anchor, _) => {
                builder.open(Frame::Map { entries: Vec::new(), key: None, anchor, line }, line)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }
    Ok(builder.root.unwrap_or(Node { line: 1, data: Data::Null }))
}

impl Builder {
    fn open(&mut self, frame: Frame, line: usize) -> Result<(), ImportError> {
        if let Some(Frame::Map { key: None, .. }) = self.frames.last() {
            return Err(ImportError::at_line(line, "a key must be a text, not a list or an object"));
        }
        if self.frames.len() >= DEPTH {
            return Err(ImportError::at_line(
                line,
                format!("is nested too deeply; {DEPTH} levels are accepted"),
            ));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), ImportError> {
        let (node, anchor) = match self.frames.pop() {
            Some(Frame::List { items, anchor, line }) => (Node { line, data: Data::List(items) }, anchor),
            Some(Frame::Map { entries, anchor, line, .. }) => {
                (Node { line, data: Data::Map(merged(entries)?) }, anchor)
            }
            None => return Ok(()),
        };
        self.add(node, anchor)
    }

    fn scalar(&mut self, node: Node, anchor: usize) -> Result<(), ImportError> {
        if let Some(Frame::Map { key: key @ None, .. }) = self.frames.last_mut() {
            let name = match &node.data {
                Data::Text(text) | Data::Number(text) => text.clone(),
                Data::Bool(flag) => flag.to_string(),
                _ => "null".to_owned(),
            };
            *key = Some(name);
            if anchor > 0 {
                self.anchors.insert(anchor, (node, 1));
            }
            return Ok(());
        }
        self.add(node, anchor)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), ImportError> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(ImportError::at_line(line, "an alias of a value that is not complete"));
        };
        if let Some(Frame::Map { key: None, .. }) = self.frames.last()
            && matches!(node.data, Data::List(_) | Data::Map(_))
        {
            return Err(ImportError::at_line(line, "a key must be a text, not a list or an object"));
        }
        self.count(size, line)?;
        if self.frames.len() + depth(&node) > DEPTH {
            return Err(ImportError::at_line(
                line,
                format!("is nested too deeply; {DEPTH} levels are accepted"),
            ));
        }
        self.scalar(node, 0)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), ImportError> {
        self.count(1, node.line)?;
        if anchor > 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.frames.last_mut() {
            None => self.root = self.root.take().or(Some(node)),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => {
                let name = key.take().unwrap_or_default();
                entries.push((name, node));
            }
        }
        Ok(())
    }

    fn count(&mut self, more: usize, line: usize) -> Result<(), ImportError> {
        self.values = self.values.saturating_add(more);
        if self.values > MOST_VALUES {
            let message =
                format!("holds too many values; {MOST_VALUES} are accepted, repeated ones included");
            return Err(ImportError::at_line(line, message));
        }
        Ok(())
    }
}

/// Lays what `<<` names under the object's own members. A key that is written twice has its last value, as in Python.
fn merged(entries: Vec<(String, Node)>) -> Result<Vec<(String, Node)>, ImportError> {
    let mut own: Vec<(String, Node)> = Vec::with_capacity(entries.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut under = Vec::new();
    for (name, node) in entries {
        if name == "<<" {
            under.push(node);
            continue;
        }
        match places.get(&name) {
            Some(at) => own[*at].1 = node,
            None => {
                places.insert(name.clone(), own.len());
                own.push((name, node));
            }
        }
    }
    for node in under {
        let line = node.line;
        let maps = match node.data {
            Data::List(maps) => maps,
            data => vec![Node { line, data }],
        };
        for map in maps {
            let Data::Map(members) = map.data else {
                return Err(ImportError::at_line(line, "<< takes an object or a list of objects"));
            };
            for (name, node) in members {
                if !places.contains_key(&name) {
                    places.insert(name.clone(), own.len());
                    own.push((name, node));
                }
            }
        }
    }
    Ok(own)
}

fn size(node: &Node) -> usize {
    match &node.data {
        Data::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Data::Map(members) => 1 + members.iter().map(|(_, node)| size(node)).sum::<usize>(),
        _ => 1,
    }
}

fn depth(node: &Node) -> usize {
    match &node.data {
        Data::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Data::Map(members) => 1 + members.iter().map(|(_, node)| depth(node)).max().unwrap_or(0),
        _ => 0,
    }
}

fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Data::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Data::Bool(false),
        _ if is_number(text) => Data::Number(text.to_owned()),
        _ => Data::Text(text.to_owned()),
    }
}

/// Decimal notation, with or without fraction and exponent. Other notations stay text.
fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !(whole.is_empty() && fraction.is_empty());
    let exponent_fine =
        exponent.is_none_or(|exponent| !exponent.is_empty() && exponent.len() < 5 && digits(exponent));
    has_digits && digits(whole) && digits(fraction) && exponent_fine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn read(text: &str) -> serde_json::Value {
        let node = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Place::root(&node).json()
    }

    #[test]
    fn scalars_are_read_as_litellm_sees_them() {
        let value = read(
            "a: yes\nb: \"yes\"\nc: 1e-6\nd: 007x\ne:\nf: [1, -2.5, 'x']\ng: |\n  two\n  lines\nh: !!str 5\n",
        );
        let expected = serde_json::json!({"a": true, "b": "yes", "c": 1e-6, "d": "007x", "e": null,
            "f": [1, -2.5, "x"], "g": "two\nlines\n", "h": "5"});
        assert_eq!(value, expected);
    }

    #[test]
    fn anchors_and_merges_are_laid_under_what_is_written() {
        let value = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nlist: [*b]\ntwice: 1\ntwice: 2\n");
        assert_eq!(value["use"], serde_json::json!({"y": 3, "x": 1}));
        assert_eq!(value["list"][0]["y"], 2);
        assert_eq!(value["twice"], 2);
    }

    #[test]
    fn what_can_not_be_read_is_refused_with_its_line() {
        for (text, line, part) in [
            ("a: 1\nb: [1, 2\n", 3, "not YAML"),
            ("a: 1\n? [x]\n: 2\n", 2, "a key must be a text"),
            ("a: &x [*x]\n", 1, "not complete"),
            ("a: 1\n---\nb: 2\n", 2, "second document"),
            ("a:\n  <<: 5\n", 2, "<< takes"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} was read"));
            assert_eq!(error.line, Some(line), "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
        assert!(parse(&"[".repeat(100)).is_err());
    }

    #[test]
    fn aliases_can_not_multiply_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let of = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![of; 10].join(", ")));
        }
        let error = parse(&text).err().unwrap();
        assert!(error.message.contains("too many values"), "{error}");
    }
}
