"""Two checks over a list of words: no-secrets fails on them, hide replaces them."""

import json
import re

from componentize_py_types import Err
from wit_world.exports.guardrail_stream import WindowAnswer
from wit_world.imports.types import (
    CheckError, CheckInfo, Hook, Judgement, Manifest, Mask, Reason, Span, Verdict_Fail, Verdict_Mask, Verdict_Pass,
    WindowNeeds, WindowVerdict_Fail, WindowVerdict_Mask, WindowVerdict_Pass,
)

HOOKS = [Hook.INPUT, Hook.OUTPUT]
SCHEMA = '{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}'
FOUND = Reason("word_found", "A word was found that must not pass.")


class About:
    def describe(self):
        checks = [CheckInfo("no-secrets", HOOKS, True, False, SCHEMA, []), CheckInfo("hide", HOOKS, True, True, SCHEMA, [])]
        return Manifest("my-guard", "0.1.0", checks, [], [], [])


class Guardrail:
    def check(self, check, params_json, subject):
        words = words_of(check, params_json)
        masks = [Mask(at, spans) for at, piece in enumerate(subject.pieces) if (spans := find(words, piece.text, 0))]
        if not masks:
            return Judgement(Verdict_Pass(), None)
        return Judgement(Verdict_Mask(masks) if check == "hide" else Verdict_Fail(FOUND), None)


class GuardrailStream:
    def needs(self, check, params_json):
        # To know that a word begins at a position, the rest of the longest word must be seen.
        return WindowNeeds(lookahead=len(words_of(check, params_json)[0]) - 1, overlap=0)

    def window(self, check, params_json, window):
        spans = find(words_of(check, params_json), window.text, window.overlap)
        if not spans:
            return WindowAnswer(WindowVerdict_Pass(), b"", None)
        return WindowAnswer(WindowVerdict_Mask(spans) if check == "hide" else WindowVerdict_Fail(FOUND), b"", None)


def words_of(check, params_json):
    """Returns the words as bytes, longest first."""
    if check not in ("no-secrets", "hide"):
        raise Err(CheckError("UnknownCheck", check, None))
    words = json.loads(params_json).get("words", ["swordfish"])
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise Err(CheckError("ParamsError", "words must be a list of texts, none of them empty", None))
    return sorted((word.encode() for word in words), key=len, reverse=True)


def find(words, text, start):
    """Returns the spans of all words from a byte on. Spans are counted in bytes of UTF-8."""
    pattern = re.compile(b"|".join(map(re.escape, words)))
    return [Span(hit.start(), hit.end(), "[hidden]") for hit in pattern.finditer(text.encode(), start)]
