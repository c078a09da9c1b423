import { fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import {
  GenerateRequestSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  type Welcome,
} from "@stator/contracts";
import {
  contractVersion,
  createHealthGroup,
  createRequest,
  defineEngine,
  silentLogger,
  systemClock,
  type ModelCard,
  type StatorError,
} from "@stator/core";
import { expect, test } from "vitest";
import { openSession, type CallerSession } from "./caller/caller-session.ts";
import type { SessionLink, SessionPort } from "./session-port.ts";
import { createEngineHost, type EngineHost } from "./worker/engine-host.ts";

const tokenizer = { json: "{}", digest: "d", specialIds: { eos: [0] } };
const echo = (contract: ModelCard["contract"]): ReturnType<typeof defineEngine> =>
  defineEngine(
    { model: "m", contextTokens: 1_000, tokenizer, card: { contract } },
    async function* (request) {
      for (const id of request.promptIds) yield { ids: [id], logprobs: [{ logprob: -1, top: [] }] };
    },
  );

function hostOf(contract: ModelCard["contract"]): EngineHost {
  const engine = echo(contract);
  return createEngineHost({
    engine,
    card: engine.card!,
    worker: {
      id: "w",
      epoch: "e",
      role: "both",
      model: "m",
      capacity: { requests: 10, queue: 0, kvBlocks: 0 },
      ranks: 1,
      labels: {},
    },
    clock: systemClock,
    deadlines: createHealthGroup().deadlines,
    logger: silentLogger,
  });
}

/** Fields 15000 (a number) and 15001 (bytes), which no contract has: as a newer build would send them. */
const newerFields = Uint8Array.of(0xc0, 0xa9, 0x07, 0x05, 0xca, 0xa9, 0x07, 0x02, 0x08, 0x01);

/** A message as its next version: with fields unknown here on itself and on what it holds. */
function ofNextBuild<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): MessageShape<Desc> {
  const grown = fromBinary(schema, toBinary(schema, message));
  grow(grown);
  return fromBinary(schema, toBinary(schema, grown as MessageShape<Desc>));
}
const unknownFields = [
  { no: 15_000, wireType: 0, data: Uint8Array.of(5) },
  { no: 15_001, wireType: 2, data: Uint8Array.of(2, 8, 1) },
];
function grow(value: unknown): void {
  if (Array.isArray(value)) for (const one of value) grow(one);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if ("$typeName" in value) (value as { $unknown?: unknown }).$unknown = unknownFields;
  for (const [key, inner] of Object.entries(value)) if (key !== "$unknown") grow(inner);
}

interface Builds {
  /** Contracts that the caller says it speaks. Default: this build's. */
  readonly caller?: { readonly min: number; readonly max: number };
  readonly worker: ModelCard["contract"];
  /** Who sends fields that the other does not know. */
  readonly newer?: "caller" | "worker";
}

async function connect({ caller, worker, newer }: Builds): Promise<{
  session: CallerSession;
  welcome: Welcome | undefined;
  ended: Promise<unknown>;
  close(): void;
}> {
  const host = hostOf(worker);
  const port: SessionPort = host;
  const link: SessionLink = {
    async *session(requests, signal) {
      const said = (async function* () {
        for await (const request of requests) {
          if (caller !== undefined && request.hello?.contract !== undefined)
            Object.assign(request.hello.contract, caller);
          if (newer !== "caller") {
            yield request;
            continue;
          }
          for (const start of request.starts) {
            const whole = fromBinary(GenerateRequestSchema, start.part);
            start.part = toBinary(GenerateRequestSchema, ofNextBuild(GenerateRequestSchema, whole));
            start.part = Uint8Array.from([...start.part, ...newerFields]);
            start.totalBytes = start.part.length;
          }
          yield ofNextBuild(SessionRequestSchema, request);
        }
      })();
      for await (const response of port.session(said, signal))
        yield newer === "worker" ? ofNextBuild(SessionResponseSchema, response) : response;
    },
    fetch: (request, signal) => port.fetch(request, signal),
    close() {},
  };
  const health = createHealthGroup();
  let welcome: Welcome | undefined;
  let onWelcome = (): void => {};
  const welcomed = new Promise<void>((resolve) => (onWelcome = resolve));
  let onEnd: (error: unknown) => void = () => {};
  const ended = new Promise<unknown>((resolve) => (onEnd = resolve));
  const session = openSession({
    link,
    worker: "w",
    epoch: "e",
    session: "s",
    eventsAfter: 0n,
    health: health.worker({ worker: "w", epoch: "e" }),
    clock: systemClock,
    deadlines: health.deadlines,
    onWelcome: (one) => {
      welcome = one;
      onWelcome();
    },
    onStatus: () => {},
    onEnd,
  });
  await Promise.race([welcomed, ended]);
  return {
    session,
    welcome,
    ended,
    close() {
      session.close();
      host.close("orderly");
      health.close();
    },
  };
}

const next = { min: 1, max: contractVersion + 1 };
const this_ = { min: 1, max: contractVersion };

test.each<[string, Builds]>([
  ["this build's caller and the next build's worker", { worker: next, newer: "worker" }],
  ["the next build's caller and this build's worker", { caller: next, worker: this_, newer: "caller" }],
  ["two builds of the next contract, one of which speaks it", { caller: next, worker: next }],
])("%s agree on the contract that both speak, and fields unknown to one do no harm", async (_, builds) => {
  const { session, welcome, close } = await connect(builds);
  expect(welcome?.contract).toBe(contractVersion);
  const request = createRequest({
    id: "r",
    model: "m",
    promptIds: Uint32Array.of(5, 6, 7),
    limits: { maxTokens: 3 },
    topLogprobs: 0,
  });
  const ids: number[] = [];
  let finish: unknown;
  for await (const batch of session.generate(request, new AbortController().signal)) {
    ids.push(...batch.ids);
    finish = batch.finish ?? finish;
  }
  expect({ ids, finish }).toEqual({ ids: [5, 6, 7], finish: { reason: "length" } });
  close();
});

test.each<[string, Builds]>([
  ["a caller too new", { caller: { min: contractVersion + 1, max: contractVersion + 2 }, worker: this_ }],
  ["a worker too new", { worker: { min: contractVersion + 1, max: contractVersion + 2 } }],
])("%s is refused with both ranges in the message, before any request", async (_, builds) => {
  const { session, welcome, ended, close } = await connect(builds);
  expect(welcome).toBeUndefined();
  const error = (await ended) as StatorError;
  expect(error).toMatchObject({ code: "RUNTIME_CONTRACT_MISMATCH", kind: "incompatible" });
  expect(error.message).toMatch(/\d to \d.*\d to \d/);
  const stream = session.generate(
    createRequest({ id: "r", model: "m", promptIds: Uint32Array.of(1) }),
    new AbortController().signal,
  );
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ kind: "unavailable" });
  close();
});
