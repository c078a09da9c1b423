import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequest, defineEngine } from "@stator/core";
import { createRuntime, fileDiscovery, type RuntimeErrorCode } from "@stator/runtime";
import { expect, test } from "vitest";

test("the README's engine is served, found and called", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stator-readme-"));
  try {
    const tokenizer = { json: "{}", digest: "none", specialIds: { eos: [0] } };
    const echo = defineEngine({ model: "echo", contextTokens: 4096, tokenizer }, async function* (request) {
      for (const id of request.promptIds) yield { ids: [id] };
    });
    await using runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
    await runtime.serveEngine(echo, { role: "both" });
    const workers = runtime.workers({ model: "echo" });
    const printed = await new Promise<number[]>((resolve) => {
      workers.onChange(async ({ type, handle }) => {
        if (type !== "joined") return;
        const request = createRequest({ id: "1", model: "echo", promptIds: Uint32Array.of(3, 5, 8) });
        const { signal } = new AbortController();
        const all: number[] = [];
        for await (const { ids } of handle.engine.generate(request, { signal })) all.push(...ids);
        resolve(all);
      });
    });
    expect(printed).toEqual([3, 5, 8]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("every error code has its paragraph, and every paragraph its code", async () => {
  const root = join(import.meta.dirname, "../../..");
  const source = await readFile(join(import.meta.dirname, "runtime-error.ts"), "utf8");
  const page = await readFile(join(root, "docs/reference/errors/runtime.md"), "utf8");
  const codes = [...source.matchAll(/\| "(RUNTIME_[A-Z_]+)"/g)].map((match) => match[1] as RuntimeErrorCode);
  const headings = [...page.matchAll(/^## (\S+)$/gm)].map((match) => match[1]);
  expect(headings.sort()).toEqual(codes.sort());
});
