// The official `portkey-ai` package: the key in its own header, slugs, providers, configs, metadata.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Portkey } from "portkey-ai";

import { KEYS, ask, needsGateway, vendors, world } from "./world.mjs";

after(world.stop);

const clientOf = (options = {}) => new Portkey({ baseURL: `${world.url}/v1`, apiKey: KEYS.sdk, ...options });

for (const vendor of vendors) {
  test(`${vendor}: chat by slug, by provider and by config`, needsGateway, async () => {
    const config = { provider: `@${vendor}`, override_params: { model: "mock" } };
    for (const [options, model] of [
      [{}, world.model(vendor)],
      [{ provider: `@${vendor}` }, "mock"],
      [{ config }, "whatever"],
    ]) {
      const answer = await clientOf(options).chat.completions.create({ model, messages: ask("hello you") });
      assert.equal(answer.choices[0].message.content, "echo: hello you");
    }
  });

  test(`${vendor}: stream`, needsGateway, async () => {
    let text = "";
    const body = { model: world.model(vendor), messages: ask("grüße 🌊 tide"), stream: true };
    for await (const chunk of await clientOf().chat.completions.create(body)) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    assert.equal(text, "echo: grüße 🌊 tide");
  });
}

test("a config by its id, metadata and a trace id", needsGateway, async () => {
  const client = clientOf({ config: "pc-demo", metadata: { _user: "ada" }, traceID: "from-portkey-node" });
  const body = { model: world.model("openai-prod"), messages: ask("hi") };
  const answer = await client.chat.completions.create(body);
  assert.equal(answer.choices[0].message.content, "echo: hi");
  assert.equal(answer.getHeaders()["trace-id"], "from-portkey-node");
});

test("embeddings and images", needsGateway, async () => {
  const model = world.model("openai-prod", "text-embedding-3-small");
  const numbers = await clientOf().embeddings.create({ model, input: "one", encoding_format: "float" });
  assert.equal(numbers.data[0].embedding.length, 8);
  const images = { model: world.model("openai-prod", "dall-e-3"), prompt: "a pier" };
  assert.ok((await clientOf().images.generate(images)).data[0].b64_json);
});

test("errors", needsGateway, async () => {
  for (const [options, model, status] of [
    [{ apiKey: "tg-nobody" }, world.model("openai-prod"), 401],
    [{}, world.model("openai-prod", "missing-model"), 404],
    [{ apiKey: KEYS.poor }, world.model("openai-prod"), 412],
    [{}, "@nobody/mock", 400],
  ]) {
    const asking = clientOf(options).chat.completions.create({ model, messages: ask("hi") });
    await assert.rejects(asking, (error) => {
      assert.equal(error.status, status, `${error}`);
      return true;
    });
  }
});
