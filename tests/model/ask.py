"""Asks the capital of France through the gateway, streamed and whole. Standard library only.

usage: ask.py GATEWAY_URL KEY MODEL
"""

import json
import sys
import time
import urllib.request

URL, KEY, MODEL = sys.argv[1:]
BODY = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 40,
    "temperature": 0,
}


def send(body):
    request = urllib.request.Request(
        f"{URL}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {KEY}"},
    )
    return urllib.request.urlopen(request, timeout=300)


def check(what, text, usage):
    assert "Paris" in text, f"{what}: {text!r}"
    assert usage["prompt_tokens"] > 0 and usage["completion_tokens"] > 0, f"{what}: {usage}"


started = time.monotonic()
whole = json.load(send(BODY))
took = time.monotonic() - started
text = whole["choices"][0]["message"]["content"]
check("whole", text, whole["usage"])
print(f"whole:    {text!r} {whole['usage']} in {took:.2f} s")

started = time.monotonic()
first = None
text = ""
usage = None
done = False
for line in send({**BODY, "stream": True, "stream_options": {"include_usage": True}}):
    line = line.decode().strip()
    if line == "data: [DONE]":
        done = True
    elif line.startswith("data: "):
        chunk = json.loads(line[6:])
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content") or ""
            if piece and first is None:
                first = time.monotonic()
            text += piece
        usage = chunk.get("usage") or usage
ended = time.monotonic()
check("streamed", text, usage)
assert done, "no [DONE]"
rate = usage["completion_tokens"] / max(ended - first, 1e-6)
print(f"streamed: {text!r} {usage}, first token after {first - started:.2f} s, {rate:.1f} tokens/s")
