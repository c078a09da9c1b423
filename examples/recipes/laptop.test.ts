import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const script = fileURLToPath(new URL("tiny-llamacpp-laptop/bare-metal.sh", import.meta.url));
const bin = mkdtempSync(path.join(tmpdir(), "stator-recipe-"));
let child: ChildProcess;
let exited: Promise<number | null>;
let url: string;

beforeAll(async () => {
  // What a global install puts on PATH.
  const main = path.join(root, "packages/cli/dist/main.js");
  writeFileSync(path.join(bin, "stator"), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, {
    mode: 0o755,
  });
  child = spawn("sh", [script, "--port", "0", "--namespace", `recipe-${process.pid}`], {
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  exited = new Promise((resolve) => child.once("exit", resolve));
  let output = "";
  url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      output += String(chunk);
      const found = /listening on (http:\/\/\S+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.stderr?.on("data", (chunk: Buffer) => (output += String(chunk)));
    void exited.then((code) => reject(new Error(`the recipe ended with ${code}:\n${output}`)));
  });
});

afterAll(async () => {
  child?.kill("SIGINT");
  await exited;
  rmSync(bin, { recursive: true, force: true });
});

test("the laptop's recipe starts, prefills apart and answers; Ctrl-C ends it with 0", async () => {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "tiny",
      max_tokens: 8,
      ignore_eos: true,
      messages: [{ role: "user", content: `What does a stator do? ${"Tell me more. ".repeat(30)}` }],
    }),
  });
  expect(answer.status, await answer.clone().text()).toBe(200);
  const { choices, usage } = (await answer.json()) as {
    choices: { message: { content: string }; finish_reason: string }[];
    usage: { prompt_tokens: number; completion_tokens: number };
  };
  expect(choices[0]).toMatchObject({ finish_reason: "length" });
  expect(usage.completion_tokens).toBe(8);
  expect(usage.prompt_tokens).toBeGreaterThan(64);
  child.kill("SIGINT");
  expect(await exited).toBe(0);
});
