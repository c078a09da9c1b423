import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("a forked frontend sees what the other one booked, and frees it when that one is killed", async () => {
  const script = fileURLToPath(new URL("../../test/forked-routers.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@stator/source", script], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 30_000,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
  await once(child, "exit");
  expect(
    output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([{ sees: 1 }, { sees: 0 }]);
});
