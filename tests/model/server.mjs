// A small real model behind an OpenAI-shaped HTTP server: GET /v1/models, POST /v1/chat/completions.
// usage: node server.mjs MODEL.gguf   (prints `listening on 127.0.0.1:PORT`)
//
// One thread: llama.cpp's threads spin while they wait for each other, which costs a busy machine more than it gains.

import { createServer } from "node:http";

import { LlamaChatSession, getLlama } from "node-llama-cpp";

const NAME = "smollm2-135m-instruct";
const CONTEXT_TOKENS = 2048;

const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "error" });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const context = await model.createContext({ contextSize: CONTEXT_TOKENS, threads: 1 });
const sequence = context.getSequence();
let turn = Promise.resolve();

// One answer at a time: there is one sequence.
function inTurn(work) {
  const result = turn.then(work);
  turn = result.catch(() => {});
  return result;
}

function textOf(content) {
  return Array.isArray(content) ? content.map((part) => part.text ?? "").join("\n") : String(content ?? "");
}

async function answer(body, signal, onText) {
  await sequence.clearHistory();
  const session = new LlamaChatSession({ contextSequence: sequence });
  const messages = [...body.messages];
  const question = textOf(messages.pop().content);
  session.setChatHistory(
    messages.map(({ role, content }) => {
      if (role === "assistant") return { type: "model", response: [textOf(content)] };
      return { type: role === "user" ? "user" : "system", text: textOf(content) };
    }),
  );
  const before = sequence.tokenMeter.getState();
  const result = await session.promptWithMeta(question, {
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? 256,
    temperature: body.temperature ?? 0,
    customStopTriggers: [body.stop ?? []].flat(),
    signal,
    stopOnAbortSignal: true,
    onTextChunk: onText,
  });
  const { usedInputTokens, usedOutputTokens } = sequence.tokenMeter.diff(before);
  session.dispose({ disposeSequence: false });
  return {
    text: result.responseText,
    reason: result.stopReason === "maxTokens" ? "length" : "stop",
    usage: {
      prompt_tokens: usedInputTokens,
      completion_tokens: usedOutputTokens,
      total_tokens: usedInputTokens + usedOutputTokens,
    },
  };
}

function send(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function refuse(response, status, message) {
  send(response, status, { error: { message, type: "invalid_request_error", param: null, code: null } });
}

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (request.method === "GET" && pathname === "/v1/models") {
    return send(response, 200, { object: "list", data: [{ id: NAME, object: "model", created: 0, owned_by: "local" }] });
  }
  if (request.method !== "POST" || pathname !== "/v1/chat/completions") return refuse(response, 404, "no such route");
  let body;
  try {
    body = JSON.parse(Buffer.concat(await request.toArray()).toString("utf8"));
  } catch (error) {
    return refuse(response, 400, `the body is not JSON: ${error.message}`);
  }
  if (!Array.isArray(body.messages) || body.messages.length === 0) return refuse(response, 400, "messages: required");
  if (body.model !== NAME) return refuse(response, 404, `The model \`${body.model}\` does not exist.`);
  const words = body.messages.map(({ content }) => textOf(content)).join(" ");
  if (model.tokenize(words).length > CONTEXT_TOKENS - 300) return refuse(response, 400, "context length exceeded");

  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const head = { id: `chatcmpl-${Date.now()}`, created: Math.floor(Date.now() / 1000), model: NAME };
  try {
    if (!body.stream) {
      const { text, reason, usage } = await inTurn(() => answer(body, gone.signal, undefined));
      const message = { role: "assistant", content: text };
      const choices = [{ index: 0, message, logprobs: null, finish_reason: reason }];
      return send(response, 200, { ...head, object: "chat.completion", choices, usage });
    }
    response.socket.setNoDelay(true);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    const write = (choices, more = {}) => {
      const chunk = { ...head, object: "chat.completion.chunk", choices, ...more };
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };
    const delta = (delta, finish_reason = null) => write([{ index: 0, delta, logprobs: null, finish_reason }]);
    delta({ role: "assistant", content: "" });
    const { reason, usage } = await inTurn(() => answer(body, gone.signal, (content) => delta({ content })));
    delta({}, reason);
    if (body.stream_options?.include_usage) write([], { usage });
    response.end("data: [DONE]\n\n");
  } catch (error) {
    if (!response.headersSent) return refuse(response, 500, String(error));
    response.destroy();
  }
});

server.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
