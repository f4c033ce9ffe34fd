// Two checks over a list of words: no-secrets fails on them, hide replaces them.

import { Items, SPAN, addCheck, failed, putText, zeros } from "./abi";
import { Word, readWords } from "./words";

export { cabi_realloc, finished } from "./abi";

const SCHEMA = '{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}';

export function describe(): usize {
  const manifest = zeros(48);
  putText(manifest, "my-guard");
  putText(manifest + 8, "0.1.0");
  const checks = new Items(36);
  addCheck(checks, "no-secrets", false, SCHEMA);
  addCheck(checks, "hide", true, SCHEMA);
  checks.put(manifest + 16);
  return manifest;
}

// The arguments of a check come in memory: name, parameters, subject. Its pieces are at 100.
export function check(given: usize): usize {
  const hides = isHide(load<usize>(given), load<u32>(given, 4));
  const words = readWords(load<usize>(given, 8), load<u32>(given, 12));
  if (!words) return badParams();
  const masks = new Items(12);
  const pieces = load<usize>(given, PIECES);
  const count = load<u32>(given, PIECES + 4);
  for (let i: u32 = 0; i < count; i++) {
    const piece = pieces + i * 28;
    const spans = find(words, load<usize>(piece, 20), load<u32>(piece, 24), 0);
    if (spans.count == 0) continue;
    const mask = masks.add();
    store<u32>(mask, i);
    spans.put(mask + 4);
  }
  // A result: the judgement at 4 begins with its verdict, whose payload is at 8.
  const result = zeros(48);
  if (masks.count == 0) return result;
  if (!hides) return found(result, 3);
  store<u8>(result, 1, 4);
  masks.put(result + 8);
  return result;
}

const PIECES: usize = 100;

// To know that a word begins at a position, the rest of the longest word must be seen.
export function needs(_check: usize, _checkLength: u32, params: usize, paramsLength: u32): usize {
  const words = readWords(params, paramsLength);
  if (!words) return badParams();
  let longest: u32 = 0;
  for (let i = 0; i < words.length; i++) longest = max(longest, words[i].length);
  const result = zeros(48);
  store<u32>(result, longest - 1, 4);
  return result;
}

export function window(
  check: usize,
  checkLength: u32,
  params: usize,
  paramsLength: u32,
  text: usize,
  textLength: u32,
  overlap: u32,
  _last: u32,
  _kind: usize,
  _kindLength: u32,
  _index: u32,
  _state: usize,
  _stateLength: u32,
): usize {
  const words = readWords(params, paramsLength);
  if (!words) return badParams();
  const spans = find(words, text, textLength, overlap);
  const result = zeros(48);
  if (spans.count == 0) return result;
  if (!isHide(check, checkLength)) return found(result, 2);
  store<u8>(result, 1, 4);
  spans.put(result + 8);
  return result;
}

function found(result: usize, tag: u8): usize {
  store<u8>(result, tag, 4);
  putText(result + 8, "word_found");
  putText(result + 16, "A word was found that must not pass.");
  return result;
}

function badParams(): usize {
  return failed("ParamsError", "words must be a list of texts, none of them empty");
}

function isHide(name: usize, length: u32): bool {
  return String.UTF8.decodeUnsafe(name, length) == "hide";
}

// The spans of all words from a byte on, the longest where several begin.
function find(words: Array<Word>, text: usize, length: u32, from: u32): Items {
  const spans = new Items(SPAN);
  for (let at = from; at < length; ) {
    let longest: u32 = 0;
    for (let i = 0; i < words.length; i++) {
      const word = words[i];
      if (word.length <= longest || word.length > length - at) continue;
      if (memory.compare(text + at, word.at, word.length) == 0) longest = word.length;
    }
    if (longest > 0) {
      const span = spans.add();
      store<u32>(span, at);
      store<u32>(span, at + longest, 4);
      putText(span + 8, "[hidden]");
    }
    at += max(longest, 1);
  }
  return spans;
}
