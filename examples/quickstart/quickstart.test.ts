import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import OpenAI from "openai";
import { afterEach, expect, test } from "vitest";

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** Runs a file of this folder and resolves with what its first line matches. */
function start(folder: string, pattern: RegExp, ...args: string[]): Promise<string> {
  const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@stator/source", ...args], {
    cwd: import.meta.dirname,
    // Processes find each other in the temporary folder: one of its own.
    env: { ...process.env, TMPDIR: folder, PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let output = "";
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += String(chunk);
      const match = pattern.exec(output);
      if (match !== null) resolve(match[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", (code) => reject(new Error(`${args.join(" ")} ended with ${code}:\n${output}`)));
  });
}

test("the files of the README, started by hand, answer one client and end when they are told to", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "stator-quickstart-"));
  try {
    const [line] = await Promise.all([
      start(folder, /http:\/\/\S+/, "main.ts"),
      start(folder, /is ready/, "worker.ts", "prefill"),
      start(folder, /is ready/, "worker.ts", "decode"),
    ]);
    const client = new OpenAI({ baseURL: `${line}/v1`, apiKey: "none", maxRetries: 0 });
    const ask = () =>
      client.chat.completions.create({
        model: "tiny",
        messages: [{ role: "user", content: "Hello, where are you? ".repeat(20) }],
        max_tokens: 8,
        temperature: 0,
      });
    let answer: Awaited<ReturnType<typeof ask>> | undefined;
    // Workers are found a moment after they are ready.
    await expect
      .poll(async () => (answer = await ask().catch(() => undefined)), { timeout: 30_000 })
      .toBeDefined();
    expect(answer?.usage?.completion_tokens).toBe(8);
    const ends = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of children) child.kill("SIGINT");
    expect(await Promise.all(ends)).toEqual([0, 0, 0]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
