import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = path.dirname(fileURLToPath(import.meta.url));
const built = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));

test.skipIf(!existsSync(built))(
  "workers come and go under a wave of requests, none fails, and it exits 0",
  async () => {
    const tsx = createRequire(import.meta.url).resolve("tsx/cli");
    const child = spawn(
      process.execPath,
      [tsx, "--conditions=@stator/source", "main.ts", "--seconds", "20"],
      {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    expect(output).toMatch(/ 0 failed/);
    expect(output).toMatch(/[1-9]\d* times up/);
    expect(code, output).toBe(0);
  },
  120_000,
);
