// Two checks over a list of words: no-secrets fails on them, hide replaces them.

const schema = '{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}';
const hooks = ["input", "output"];

export const about = {
  describe: () => ({
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
  check(check, paramsJson, subject) {
    const words = wordsOf(check, paramsJson);
    const masks = subject.pieces
      .map((piece, at) => ({ piece: at, spans: find(words, piece.text, 0) }))
      .filter((mask) => mask.spans.length > 0);
    return { verdict: verdict(check, masks) };
  },
};

export const guardrailStream = {
  // To know that a word begins at a position, the rest of the longest word must be seen.
  needs: (check, paramsJson) => ({ lookahead: wordsOf(check, paramsJson)[0].length - 1, overlap: 0 }),

  window(check, paramsJson, window) {
    const spans = find(wordsOf(check, paramsJson), window.text, window.overlap);
    return { verdict: verdict(check, spans), state: new Uint8Array() };
  },
};

function verdict(check, found) {
  if (found.length === 0) return { tag: "pass" };
  if (check === "hide") return { tag: "mask", val: found };
  return { tag: "fail", val: { code: "word_found", message: "A word was found that must not pass." } };
}

// The words with their lengths in bytes, longest first.
function wordsOf(check, paramsJson) {
  if (check !== "no-secrets" && check !== "hide") throw error("UnknownCheck", check);
  const words = JSON.parse(paramsJson).words ?? ["swordfish"];
  if (!Array.isArray(words) || words.length === 0 || words.some((word) => typeof word !== "string" || word === "")) {
    throw error("ParamsError", "words must be a list of texts, none of them empty");
  }
  return words.map((text) => ({ text, length: bytes(text) })).sort((a, b) => b.length - a.length);
}

const error = (name, message) => ({ name, message });

// The spans of all words from a byte on. Spans are counted in bytes of UTF-8, strings here in UTF-16.
function find(words, text, from) {
  const spans = [];
  for (let at = 0, start = 0; at < text.length; ) {
    const word = start >= from ? words.find((word) => text.startsWith(word.text, at)) : undefined;
    const step = word?.text ?? String.fromCodePoint(text.codePointAt(at));
    const end = start + (word?.length ?? bytes(step));
    if (word) spans.push({ start, end, replacement: "[hidden]" });
    at += step.length;
    start = end;
  }
  return spans;
}

function bytes(text) {
  let sum = 0;
  for (const letter of text) {
    const code = letter.codePointAt(0);
    sum += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return sum;
}
