import { readFileSync } from "node:fs";
import { createRequest, type GenerateRequest, type TokenBatch } from "@stator/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generateReader, generateTemplate } from "../../sglang/sglang-stream.ts";
import { batchesOfEvents, type EventReader } from "./batch-stream.ts";
import { createEventLines } from "./event-lines.ts";
import type { EventSink, EventSource } from "./event-source.ts";
import { completionReader, completionTemplate } from "./openai-stream.ts";

const url = "http://server";

interface Script extends EventSource {
  readonly left: readonly string[];
}

/** A body that comes in these pieces, each when the one before was told. */
function bodyOf(pieces: readonly Buffer[]): Script {
  const left: string[] = [];
  let sink: EventSink | undefined;
  const run = async (): Promise<void> => {
    const lines = createEventLines(
      (bytes, start, end) => sink?.onPayload(bytes, start, end),
      () => {
        const told = sink;
        sink = undefined;
        told?.onEnd();
      },
    );
    const shared = Buffer.alloc(Math.max(1, ...pieces.map(({ length }) => length)) + 2);
    for (const piece of pieces) {
      await Promise.resolve();
      piece.copy(shared, 1);
      lines.push(shared, 1, 1 + piece.length);
      shared.fill("#");
      sink?.onRead();
    }
    sink?.onEnd();
  };
  return {
    left,
    open(to) {
      sink = to;
      void run();
    },
    pause: () => {},
    resume: () => {},
    drain() {
      left.push("drain");
      sink = undefined;
    },
    leave() {
      left.push("leave");
      sink = undefined;
    },
  };
}
function cut(body: string, sizes: readonly number[]): Buffer[] {
  const bytes = Buffer.from(body);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  if (at < bytes.length) pieces.push(bytes.subarray(at));
  return pieces;
}

/** All batches as one, because how many events a read brings is chance. */
async function outcome(body: string, sizes: readonly number[], reader: EventReader): Promise<unknown> {
  const batches: TokenBatch[] = [];
  let error: unknown;
  try {
    for await (const batch of batchesOfEvents(url, bodyOf(cut(body, sizes)), reader)) {
      const last = batches.at(-1);
      if (last !== undefined) expect(batch.firstIndex).toBe(last.firstIndex + last.ids.length);
      batches.push(batch);
    }
  } catch (thrown) {
    error = String(thrown);
  }
  return {
    first: batches[0]?.firstIndex,
    ids: batches.flatMap(({ ids }) => [...ids]),
    logprobs: batches.flatMap(({ logprobs }) => logprobs ?? []),
    cachedTokens: batches.find(({ cachedTokens }) => cachedTokens !== undefined)?.cachedTokens,
    finish: batches.at(-1)?.finish,
    error,
  };
}

interface Recording {
  readonly exchanges: readonly { readonly path: string; readonly body?: string; readonly answer: string }[];
}
const recorded = (file: string): Recording["exchanges"] =>
  (
    JSON.parse(
      readFileSync(new URL(`../../../test/recordings/${file}`, import.meta.url), "utf8"),
    ) as Recording
  ).exchanges.filter(({ answer }) => answer.startsWith("data: "));
const kinds = {
  "vllm-0.32.0-nixl.json": {
    template: completionTemplate,
    reader: (request: GenerateRequest, template = completionTemplate()) =>
      completionReader(url, request, template),
  },
  "sglang-0.5.23.json": {
    template: generateTemplate,
    reader: (request: GenerateRequest, template = generateTemplate()) =>
      generateReader(url, request, template),
  },
};
const request = (over: Partial<GenerateRequest> = {}): GenerateRequest =>
  createRequest({ id: "r", model: "m", promptIds: Uint32Array.of(1, 2, 3), ...over });

describe.each(Object.entries(kinds))("what was recorded in %s", (file, { reader, template }) => {
  test("reads the same without parsing as with it, however it is cut", async () => {
    for (const { answer, body = "" } of recorded(file)) {
      const asked = request(/logprob/.test(body) ? { topLogprobs: 2 } : {});
      const { scan: _scan, ...parsing } = reader(asked);
      const whole = reader(asked);
      // The getter is lost in a spread.
      const slow: EventReader = {
        ...parsing,
        get index() {
          return whole.index;
        },
        read: (...told) => whole.read(...told),
        end: () => whole.end?.(),
      };
      const expected = await outcome(answer, [], slow);
      const shape = template();
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 40 }), async (sizes) => {
          expect(await outcome(answer, sizes, reader(asked, shape))).toEqual(expected);
        }),
        { numRuns: 15 },
      );
    }
  });

  test("parses one plain event of a stream at most, beside its first and its last", async () => {
    const shape = template();
    let scanned = 0;
    let plain = 0;
    const streams = recorded(file).filter(({ body = "" }) => !/logprob/.test(body));
    for (const { answer } of streams) {
      const events = answer.split("\n").filter((line) => line.startsWith("data: {"));
      plain += events.slice(1).filter((line) => line.includes('"finish_reason":null')).length;
      const inner = reader(request(), shape);
      await outcome(answer, [], {
        get index() {
          return inner.index;
        },
        scan(...told) {
          const isPlain = inner.scan?.(...told) ?? false;
          scanned += Number(isPlain);
          return isPlain;
        },
        read: (...told) => inner.read(...told),
        end: () => inner.end?.(),
      });
    }
    expect(plain).toBeGreaterThan(2 * streams.length);
    expect(scanned).toBeGreaterThanOrEqual(plain - streams.length);
  });
});

describe("a plain event of a known shape", () => {
  const event = (over: Record<string, unknown> = {}, choice: Record<string, unknown> = {}): Buffer =>
    Buffer.from(
      JSON.stringify({
        id: "cmpl-1",
        created: 1,
        choices: [{ index: 0, text: "a", finish_reason: null, token_ids: [5], ...choice }],
        ...over,
      }),
    );
  const learned = () => {
    const shape = completionTemplate();
    const first = event();
    shape.learn(first, 0, first.length, [5], undefined);
    return shape;
  };
  const match = (bytes: Buffer): number[] | undefined => {
    const ids: number[] = [];
    return learned().match(bytes, 0, bytes.length, ids) ? ids : (expect(ids).toEqual([]), undefined);
  };

  test("is read where only its id, time, text and ids differ", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), fc.array(fc.nat()), (id, text, created, ids) => {
        expect(match(event({ id, created }, { text, token_ids: ids }))).toEqual(ids);
      }),
    );
  });

  test.each([
    ["an end", event({}, { finish_reason: "stop" })],
    ["usage", event({ usage: {} })],
    ["another choice", event({}, { index: 1 })],
    ["no choice", event({ choices: [] })],
    ["an error", Buffer.from('{"error":{"message":"x"}}')],
    ["ids that are none", event({}, { token_ids: ["5"] })],
    ["a fraction", event({}, { token_ids: [5.5] })],
    ["no ids", event({}, { token_ids: null })],
    ["a cut", event().subarray(0, -1)],
    ["more behind it", Buffer.concat([event(), Buffer.from(" ")])],
  ])("is parsed with %s", (_name, bytes) => {
    expect(match(bytes)).toBeUndefined();
  });

  test("is never learned from one whose fields come twice", () => {
    const shape = completionTemplate();
    const twice = event({ token_ids: [5] });
    shape.learn(twice, 0, twice.length, [5], undefined);
    expect(shape.match(twice, 0, twice.length, [])).toBe(false);
  });
});

test("an event that is no JSON fails the stream after what came before it", async () => {
  const body = 'data: {"choices":[{"text":"a","token_ids":[7]}]}\n\ndata: {oops\n\n';
  expect(await outcome(body, [], completionReader(url, request(), completionTemplate()))).toMatchObject({
    ids: [7],
    error: expect.stringContaining("an event is no JSON") as string,
  });
});

test("a connection whose stream came to its end serves on; one that is left is closed", async () => {
  const plain = 'data: {"choices":[{"text":"a","token_ids":[7]}]}\n\n';
  const last = 'data: {"choices":[{"text":"a","finish_reason":"length","token_ids":[8]}]}\n\n';
  const whole = bodyOf([Buffer.from(`${plain}${last}data: [DONE]\n\n`)]);
  for await (const _ of batchesOfEvents(url, whole, completionReader(url, request(), completionTemplate())));
  expect(whole.left).toEqual(["drain"]);
  const early = bodyOf([Buffer.from(plain), Buffer.from(last)]);
  for await (const _ of batchesOfEvents(url, early, completionReader(url, request(), completionTemplate())))
    break;
  expect(early.left).toEqual(["leave"]);
});

test("lines end with or without a carriage return, and other fields are no events", () => {
  const seen: string[] = [];
  let isDone = false;
  const lines = createEventLines(
    (bytes, start, end) => seen.push(bytes.toString("utf8", start, end)),
    () => (isDone = true),
  );
  const body = Buffer.from(": comment\r\nevent: x\r\ndata:1\r\ndata:   {}  \n\nid: 3\ndata: [DONE]\r\n");
  for (let at = 0; at < body.length; at++) lines.push(body, at, at + 1);
  expect(seen).toEqual(["1", "{}"]);
  expect(isDone).toBe(true);
});
