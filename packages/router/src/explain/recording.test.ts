import { createRequest, hashSchemeXxh3 } from "@stator/core";
import { expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { parseDecisions } from "./decision-log.ts";
import { recording } from "./recording.ts";

function selector(): Selector {
  const created = createSelector();
  const capacity = { requests: 9, kvBlocks: 999, queue: 9 };
  const worker = { id: "a", epoch: "1", role: "both", model: "m", capacity, ranks: 1, labels: {} } as const;
  created.addWorker(worker, { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] });
  return created;
}

const promptIds = Uint32Array.from({ length: 64 }, (_, i) => 70_000 + i);
const request = createRequest({ id: "1", model: "m", promptIds, hints: { sessionId: "s" } });

test("a booking that ends is one line that can be replayed, without ids, and only one", () => {
  const lines: string[] = [];
  let nowMs = 5;
  const recorder = recording(
    selector(),
    { write: (line: string) => lines.push(line) },
    { clock: { now: () => nowMs } },
  );
  const decision = recorder.select(recorder.prepare(request));
  expect(lines).toEqual([]);
  const booking = recorder.book(decision);
  nowMs = 500;
  booking.prefilled();
  booking.progress(7);
  booking.free();
  booking.free();
  expect(lines).toHaveLength(1);
  const [recorded] = parseDecisions(lines.join(""));
  expect(recorded).toMatchObject({
    atMs: 5,
    id: "1",
    worker: "a",
    promptTokens: 64,
    outputTokens: 7,
    sessionId: "s",
  });
  expect([...recorded!.names]).toEqual([...decision.request.names]);
  expect(lines[0]).not.toContain("70000");
  expect(recorder.loads()[0]!.activeRequests).toBe(0);
  expect(recorder.blockTokens).toBe(16);
});

test("a sink that does not keep up loses lines, which are counted, and frees all the same", () => {
  const recorder = recording(selector(), { write: () => expect.unreachable(), writableNeedDrain: true });
  recorder.book(recorder.select(recorder.prepare(request))).free();
  expect(recorder.dropped).toBe(1);
  expect(recorder.loads()[0]!.activeRequests).toBe(0);
});
