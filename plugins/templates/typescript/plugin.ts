// Two checks over a list of words: no-secrets fails on them, hide replaces them.

import type { CheckError, Hook, Judgement, Manifest, Reason, Span, Subject, WindowNeeds } from "tidegate:plugin/types@0.1.0";
import type { StreamWindow, WindowAnswer } from "tidegate:plugin/guardrail-stream@0.1.0";

const schema = '{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}';
const hooks: Hook[] = ["input", "output"];
const found: Reason = { code: "word_found", message: "A word was found that must not pass." };

export const about = {
  describe: (): Manifest => ({
    id: "my-guard",
    version: "0.1.0",
    checks: [
      { name: "no-secrets", hooks, streams: true, mutates: false, paramsSchemaJson: schema, extra: [] },
      { name: "hide", hooks, streams: true, mutates: true, paramsSchemaJson: schema, extra: [] },
    ],
    conditions: [],
    wants: [],
    extra: [],
  }),
};

export const guardrail = {
  check(check: string, paramsJson: string, subject: Subject): Judgement {
    const words = wordsOf(check, paramsJson);
    const masks = subject.pieces
      .map((piece, at) => ({ piece: at, spans: find(words, piece.text, 0) }))
      .filter((mask) => mask.spans.length > 0);
    if (masks.length === 0) return { verdict: { tag: "pass" } };
    return { verdict: check === "hide" ? { tag: "mask", val: masks } : { tag: "fail", val: found } };
  },
};

export const guardrailStream = {
  // To know that a word begins at a position, the rest of the longest word must be seen.
  needs(check: string, paramsJson: string): WindowNeeds {
    return { lookahead: wordsOf(check, paramsJson)[0].length - 1, overlap: 0 };
  },

  window(check: string, paramsJson: string, window: StreamWindow): WindowAnswer {
    const spans = find(wordsOf(check, paramsJson), window.text, window.overlap);
    const state = new Uint8Array();
    if (spans.length === 0) return { verdict: { tag: "pass" }, state };
    return { verdict: check === "hide" ? { tag: "mask", val: spans } : { tag: "fail", val: found }, state };
  },
};

interface Word {
  text: string;
  /** In bytes. */
  length: number;
}

/** The words, longest first. */
function wordsOf(check: string, paramsJson: string): Word[] {
  if (check !== "no-secrets" && check !== "hide") throw error("UnknownCheck", check);
  const words: unknown = JSON.parse(paramsJson).words ?? ["swordfish"];
  if (!Array.isArray(words) || words.length === 0 || words.some((word) => typeof word !== "string" || word === "")) {
    throw error("ParamsError", "words must be a list of texts, none of them empty");
  }
  return words.map((text: string) => ({ text, length: bytes(text) })).sort((a, b) => b.length - a.length);
}

const error = (name: string, message: string): CheckError => ({ name, message });

/** The spans of all words from a byte on. Spans are counted in bytes of UTF-8, strings here in UTF-16. */
function find(words: Word[], text: string, from: number): Span[] {
  const spans: Span[] = [];
  for (let at = 0, start = 0; at < text.length; ) {
    const word = start >= from ? words.find((word) => text.startsWith(word.text, at)) : undefined;
    const step = word?.text ?? String.fromCodePoint(text.codePointAt(at)!);
    const end = start + (word?.length ?? bytes(step));
    if (word) spans.push({ start, end, replacement: "[hidden]" });
    at += step.length;
    start = end;
  }
  return spans;
}

function bytes(text: string): number {
  let sum = 0;
  for (const letter of text) {
    const code = letter.codePointAt(0)!;
    sum += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return sum;
}
