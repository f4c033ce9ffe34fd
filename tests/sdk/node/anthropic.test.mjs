// The official `@anthropic-ai/sdk` package against every vendor.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { KEYS, ask, needsGateway, vendors, world } from "./world.mjs";

after(world.stop);

const clientOf = (apiKey) => new Anthropic({ baseURL: world.url, apiKey, maxRetries: 0, timeout: 30_000 });
const client = clientOf(KEYS.sdk);
const max_tokens = 100;

const tools = ["weather", "time"].map((name) => ({
  name,
  description: `Tells the ${name} of a city.`,
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}));

for (const vendor of vendors) {
  const model = world.model(vendor);

  test(`${vendor}: message`, async () => {
    const answer = await client.messages.create({ model, max_tokens, messages: ask("hello you") });
    assert.equal(answer.content[0].text, "echo: hello you");
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(answer.usage.output_tokens, 3);
  });

  test(`${vendor}: stream`, async () => {
    let text = "";
    const stream = client.messages.stream({ model, max_tokens, messages: ask("grüße 🌊 tide") });
    stream.on("text", (piece) => (text += piece));
    const answer = await stream.finalMessage();
    assert.equal(text, "echo: grüße 🌊 tide");
    assert.equal(answer.content[0].text, text);
    assert.equal(answer.usage.output_tokens, 4);
  });

  test(`${vendor}: parallel tools, there and back`, async () => {
    const messages = ask("[[tools=2]] weather in Paris?");
    const first = await client.messages.create({ model, max_tokens, messages, tools });
    assert.equal(first.stop_reason, "tool_use");
    const calls = first.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(calls.map((call) => call.name), ["weather", "time"]);
    const content = calls.map((call, at) => ({
      type: "tool_result",
      tool_use_id: call.id,
      content: ["sunny", "noon"][at],
    }));
    const again = [...messages, { role: "assistant", content: first.content }, { role: "user", content }];
    const second = await client.messages.create({ model, max_tokens, messages: again, tools });
    assert.equal(second.content[0].text, "tool said: sunny | noon");
  });

  test(`${vendor}: tools streamed`, async () => {
    const stream = client.messages.stream({ model, max_tokens, messages: ask("[[tools=2]] weather?"), tools });
    const answer = await stream.finalMessage();
    const calls = answer.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(calls.map((call) => [call.name, call.input.city]), [["weather", "Paris"], ["time", "Paris"]]);
  });

  test(`${vendor}: errors keep their status and shape`, async () => {
    for (const [status, kind] of [
      [400, Anthropic.BadRequestError],
      [404, Anthropic.NotFoundError],
      [429, Anthropic.RateLimitError],
      [500, Anthropic.InternalServerError],
    ]) {
      const asking = client.messages.create({ model, max_tokens, messages: ask(`[[status=${status}]]`) });
      await assert.rejects(asking, (error) => {
        assert.ok(error instanceof kind, `${error}`);
        assert.equal(error.error.type, "error");
        return true;
      });
    }
  });

  test(`${vendor}: an error in the middle of a stream is thrown`, async () => {
    const stream = client.messages.stream({ model, max_tokens, messages: ask("[[chunks=9&error_after=2]]") });
    await assert.rejects(stream.finalMessage(), Anthropic.AnthropicError);
  });
}

test("token counts", async () => {
  const model = world.model("anthropic-prod");
  const count = await client.messages.countTokens({ model, messages: ask("one two three") });
  assert.equal(count.input_tokens, 3);
});

test("a wrong key is an authentication error", needsGateway, async () => {
  const asking = clientOf("tg-nobody").messages.create({
    model: world.model("anthropic-prod"),
    max_tokens,
    messages: ask("hi"),
  });
  await assert.rejects(asking, Anthropic.AuthenticationError);
});

test("a used-up budget is a 412 in words", needsGateway, async () => {
  const model = world.model("anthropic-prod");
  const asking = clientOf(KEYS.poor).messages.create({ model, max_tokens, messages: ask("hi") });
  await assert.rejects(asking, (error) => error.status === 412 && /budget/i.test(error.message));
});
