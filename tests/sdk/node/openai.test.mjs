// The official `openai` package against every vendor.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import OpenAI, { toFile } from "openai";

import { KEYS, PIXEL, ask, needsGateway, vendors, world } from "./world.mjs";

after(world.stop);

const clientOf = (apiKey, options = {}) =>
  new OpenAI({ baseURL: `${world.url}/v1`, apiKey, maxRetries: 0, timeout: 30_000, ...options });
const client = clientOf(KEYS.sdk);
const chat = client.chat.completions;

const tools = ["weather", "time"].map((name) => ({
  type: "function",
  function: {
    name,
    description: `Tells the ${name} of a city.`,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}));

for (const vendor of vendors) {
  const model = world.model(vendor);

  test(`${vendor}: chat`, async () => {
    const answer = await chat.create({ model, messages: ask("hello you") });
    assert.equal(answer.choices[0].message.content, "echo: hello you");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.completion_tokens, 3);
  });

  test(`${vendor}: stream`, async () => {
    const options = { stream: true, stream_options: { include_usage: true } };
    let text = "";
    let usage;
    for await (const chunk of await chat.create({ model, messages: ask("grüße 🌊 tide"), ...options })) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, "echo: grüße 🌊 tide");
    assert.equal(usage.completion_tokens, 4);
  });

  test(`${vendor}: stream helper`, async () => {
    const answer = await chat.stream({ model, messages: ask("hi") }).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, "echo: hi");
  });

  test(`${vendor}: a stream that the client aborts`, async () => {
    const stream = await chat.create({ model, messages: ask("[[chunks=500&delay_ms=20]]"), stream: true });
    let chunks = 0;
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content && ++chunks === 3) stream.controller.abort();
    }
    assert.equal(chunks, 3);
  });

  test(`${vendor}: parallel tools, there and back`, async () => {
    const messages = ask("[[tools=2]] weather in Paris?");
    const first = await chat.create({ model, messages, tools });
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    const { message } = first.choices[0];
    assert.deepEqual(message.tool_calls.map((call) => call.function.name), ["weather", "time"]);
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Paris", days: 2 });
    const results = message.tool_calls.map((call, at) => ({
      role: "tool",
      tool_call_id: call.id,
      content: ["sunny", "noon"][at],
    }));
    const second = await chat.create({ model, messages: [...messages, message, ...results], tools });
    assert.equal(second.choices[0].message.content, "tool said: sunny | noon");
  });

  test(`${vendor}: tools streamed`, async () => {
    const stream = chat.stream({ model, messages: ask("[[tools=2]] weather?"), tools });
    const { choices } = await stream.finalChatCompletion();
    assert.deepEqual(choices[0].message.tool_calls.map((call) => call.function.name), ["weather", "time"]);
    for (const call of choices[0].message.tool_calls) {
      assert.equal(JSON.parse(call.function.arguments).city, "Paris");
    }
  });

  test(`${vendor}: a tool is forced`, async () => {
    const tool_choice = { type: "function", function: { name: "time" } };
    const answer = await chat.create({ model, messages: ask("now"), tools, tool_choice });
    assert.deepEqual(answer.choices[0].message.tool_calls.map((call) => call.function.name), ["time"]);
  });

  test(`${vendor}: a picture goes in`, async () => {
    const content = [
      { type: "text", text: "what is it" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
    ];
    const answer = await chat.create({ model, messages: [{ role: "user", content }] });
    assert.equal(answer.choices[0].message.content, "echo: what is it (1 images)");
  });

  test(`${vendor}: responses, whole and streamed`, async () => {
    const whole = await client.responses.create({ model, input: "hello you" });
    assert.equal(whole.output_text, "echo: hello you");
    let text = "";
    let last;
    for await (const event of await client.responses.create({ model, input: "hello you", stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(text, "echo: hello you");
    assert.equal(last.type, "response.completed");
  });

  test(`${vendor}: errors of upstream keep their status`, async () => {
    for (const [status, kind] of [
      [400, OpenAI.BadRequestError],
      [404, OpenAI.NotFoundError],
      [429, OpenAI.RateLimitError],
      [500, OpenAI.InternalServerError],
    ]) {
      for (const stream of [false, true]) {
        await assert.rejects(chat.create({ model, messages: ask(`[[status=${status}]]`), stream }), (error) => {
          assert.ok(error instanceof kind, `${error}`);
          assert.match(error.message, new RegExp(`answers ${status}`));
          return true;
        });
      }
    }
    const missing = world.model(vendor, "missing-model");
    await assert.rejects(chat.create({ model: missing, messages: ask("hi") }), OpenAI.NotFoundError);
  });

  test(`${vendor}: an error in the middle of a stream is thrown`, async () => {
    let text = "";
    await assert.rejects(async () => {
      const stream = await chat.create({ model, messages: ask("[[chunks=9&error_after=2]]"), stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    }, OpenAI.APIError);
    assert.equal(text, " one two");
  });
}

test("embeddings, which the package asks for in base64", async () => {
  for (const vendor of vendors.filter((vendor) => vendor !== "anthropic-prod")) {
    const model = world.model(vendor, "text-embedding-3-small");
    const coded = await client.embeddings.create({ model, input: ["one", "two"] });
    const plain = await client.embeddings.create({ model, input: ["one", "two"], encoding_format: "float" });
    assert.equal(coded.data.length, 2);
    coded.data[1].embedding.forEach((number, at) => {
      assert.ok(Math.abs(number - plain.data[1].embedding[at]) < 1e-6);
    });
  }
});

test("images", async () => {
  const model = world.model("openai-prod", "dall-e-3");
  const made = await client.images.generate({ model, prompt: "a pier", n: 2 });
  assert.equal(made.data.length, 2);
  assert.ok(made.data[0].b64_json);
  const image = await toFile(Buffer.from(PIXEL, "base64"), "a.png", { type: "image/png" });
  const edited = await client.images.edit({
    model: world.model("openai-prod", "gpt-image-1"),
    image,
    prompt: "make it red",
  });
  assert.equal(edited.data[0].revised_prompt, "make it red");
});

test("audio", async () => {
  const speech = await client.audio.speech.create({
    model: world.model("openai-prod", "tts-1"),
    voice: "alloy",
    input: "Hello there",
  });
  assert.equal(Buffer.from(await speech.arrayBuffer()).subarray(0, 4).toString(), "RIFF");
  const file = await toFile(Buffer.alloc(1000), "a.wav");
  const heard = await client.audio.transcriptions.create({ model: world.model("openai-prod", "whisper-1"), file });
  assert.equal(heard.text, "heard 1000 bytes");
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  for (const vendor of vendors) {
    assert.ok(ids.includes(world.model(vendor)), `${ids}`);
    assert.equal((await client.models.retrieve(world.model(vendor))).id, world.model(vendor));
  }
});

test("a wrong key is an authentication error", needsGateway, async () => {
  const stranger = clientOf("tg-nobody");
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  const asking = stranger.chat.completions.create({ model: world.model("openai-prod"), messages: ask("hi") });
  await assert.rejects(asking, OpenAI.AuthenticationError);
});

test("a used-up budget is a 412 in words", needsGateway, async () => {
  const poor = clientOf(KEYS.poor, { maxRetries: 2 });
  const asking = poor.chat.completions.create({ model: world.model("openai-prod"), messages: ask("hi") });
  await assert.rejects(asking, (error) => error.status === 412 && /budget/i.test(error.message));
});

test("an own rate limit is a 429 with Retry-After", needsGateway, async () => {
  const slow = clientOf(KEYS.slow);
  const body = { model: world.model("openai-prod"), messages: ask("hi") };
  await slow.chat.completions.create(body);
  await assert.rejects(slow.chat.completions.create(body), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
    return true;
  });
});
