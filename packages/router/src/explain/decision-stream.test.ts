import { PassThrough } from "node:stream";
import { createRequest, defineEngine, type Engine } from "@stator/core";
import { expect, test } from "vitest";
import { createPool } from "../pool/create-pool.ts";
import { decisionLog } from "./decision-stream.ts";

const tiny = (): Engine =>
  defineEngine(
    { model: "tiny", contextTokens: 64, tokenizer: { json: "{}", digest: "d", specialIds: { eos: [0] } } },
    async function* () {
      yield { ids: [1] };
    },
  );

test("every decision becomes a JSON line with candidates, terms and reason", async () => {
  const stream = new PassThrough();
  const log = decisionLog(stream);
  const engines = [tiny(), tiny()];
  const pool = createPool({ workers: engines });
  const { signal } = new AbortController();
  for (const id of ["a", "b"]) {
    const request = createRequest({
      id,
      model: "tiny",
      promptIds: Uint32Array.of(1, 2, 3),
      limits: { maxTokens: 2 },
    });
    for await (const _ of pool.generate(request, { signal, onEvent: log.observer }));
  }
  const lines = String(stream.read()).trimEnd().split("\n");
  const decisions = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(decisions.map(({ requestId }) => requestId)).toEqual(["a", "b"]);
  expect(decisions[0]).toMatchObject({ phase: "full", policy: "kvAware", promptTokens: 3 });
  expect(decisions[0]!["candidates"]).toHaveLength(2);
  expect(decisions[0]!["reason"]).toContain("2 candidates");
  expect(lines.join("")).not.toContain("promptIds");
  await pool.close();
});

test("a sink that does not keep up loses lines, never the requests' time", () => {
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line), writableNeedDrain: true };
  const log = decisionLog(sink);
  const event = { type: "routed", atMs: 1, requestId: "r", choice: 0, attempt: 0 } as unknown as Parameters<
    typeof log.observer
  >[0];
  log.observer(event);
  sink.writableNeedDrain = false;
  log.observer(event);
  expect([lines.length, log.dropped]).toEqual([1, 1]);
});
