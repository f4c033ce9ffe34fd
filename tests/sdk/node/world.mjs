// Starts the scripted upstream and the gateway for a test file.
//
// TIDEGATE_BIN and MOCK_BIN name the two binaries. Without TIDEGATE_BIN the SDKs talk to the scripted upstream itself,
// which checks that it speaks as the vendors do; tests that need a gateway are then skipped.

import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const KEYS = {
  admin: "tga-admin-key-of-the-sdk-tests-01",
  upstream: "sk-upstream-of-the-sdk-tests-01",
  sdk: "tg-key-of-the-sdk-tests-0123456789",
  poor: "tg-poor-key-of-the-sdk-tests-01234",
  slow: "tg-slow-key-of-the-sdk-tests-01234",
};
const PATIENCE_MS = 30_000;

function start(command, args, pattern, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let output = "";
  const address = new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${command} ${why}:\n${output}`));
    const timer = setTimeout(fail, PATIENCE_MS, "did not start");
    const read = (text) => {
      output += text;
      const found = pattern.exec(output);
      if (found) {
        clearTimeout(timer);
        resolve(found[1]);
      }
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.on("error", fail);
    child.on("exit", (code) => fail(`ended with ${code}`));
  });
  return { child, address };
}

async function untilHealthy(url) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const status = await fetch(url).then((answer) => answer.status, (error) => error);
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error(`${url}: ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function startWorld() {
  const mock = start(process.env.MOCK_BIN, [], /listening on ([\d.]+:\d+)/);
  const mockUrl = `http://${await mock.address}`;
  const binary = process.env.TIDEGATE_BIN;
  if (!binary) {
    return { url: mockUrl, hasGateway: false, model: (_, name = "mock") => name, stop: () => mock.child.kill() };
  }
  const folder = mkdtempSync(join(tmpdir(), "tidegate-sdk-"));
  mkdirSync(join(folder, "secrets"));
  for (const [name, text] of Object.entries(KEYS)) writeFileSync(join(folder, "secrets", name), text);
  const settings = readFileSync(new URL("../settings.toml", import.meta.url), "utf8")
    .replaceAll("MOCK", mockUrl)
    .replaceAll("DATA", folder)
    .replaceAll("SECRETS", join(folder, "secrets"));
  writeFileSync(join(folder, "tidegate.toml"), settings);
  const { PATH, HOME } = process.env;
  const arguments_ = ["serve", "--config", join(folder, "tidegate.toml")];
  const options = { cwd: folder, env: { PATH, HOME } };
  const gateway = start(binary, arguments_, /listening on http:\/\/([\d.]+:\d+)/, options);
  const url = `http://${await gateway.address}`;
  await untilHealthy(`${url}/v1/health`);
  return {
    url,
    hasGateway: true,
    model: (vendor, name = "mock") => `@${vendor}/${name}`,
    stop: () => {
      gateway.child.kill("SIGKILL");
      mock.child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// Top-level await is over before the tests of a file are declared, so `skip` can look at it.
export const world = await startWorld();
export const vendors = world.hasGateway ? ["openai-prod", "anthropic-prod", "google-prod"] : ["openai-prod"];
export const needsGateway = { skip: world.hasGateway ? false : "needs the gateway (TIDEGATE_BIN)" };
export const ask = (text) => [{ role: "user", content: text }];
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
