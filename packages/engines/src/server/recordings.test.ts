import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { nameBlocks } from "@stator/core";
import { describe, expect, test } from "vitest";
import { Dealer } from "zeromq";
import { recordedPrompt, runScenario, type Outcome } from "../../test/recordings/scenario.ts";
import { startRecorder, startReplay, type Exchange } from "../../test/recordings/wire.ts";
import { decodeBatch } from "../kv-events/decode-batch.ts";
import { createEventNamer } from "../kv-events/name-events.ts";
import { sglang } from "../sglang/index.ts";
import { vllm } from "../vllm/index.ts";
import { parseExactJson, stringifyExactJson } from "./http/exact-json.ts";
import type { ServerEngine } from "./server-engine.ts";

/** What a live server said to an adapter, with what the adapter made of it. */
interface Recording {
  readonly engine: "vllm" | "sglang";
  /** Release and build of the server, and how it was started. */
  readonly server: string;
  readonly recorded: string;
  readonly hasHandover: boolean;
  readonly blockTokens: number;
  readonly outcomes: readonly string[];
  readonly exchanges: readonly Exchange[];
  readonly decodeExchanges: readonly Exchange[];
  /** Messages of the event feed: sequence number and payload, base64. */
  readonly kvMessages: readonly string[];
}

const folder = fileURLToPath(new URL("../../test/recordings/", import.meta.url));

function adapterOf(engine: Recording["engine"], url: string, hasHandover: boolean): ServerEngine {
  if (engine === "sglang") return sglang({ url });
  return vllm({ url, ...(hasHandover ? { connector: { name: "nixl" } } : {}) });
}

/** One batch of all: how many events a read brings is chance. */
const joined = (batches: Outcome["batches"]): Outcome["batches"] => {
  const [first] = batches;
  if (first === undefined) return [];
  let index = first.firstIndex;
  for (const batch of batches) {
    expect(batch.firstIndex).toBe(index);
    index += batch.ids.length;
  }
  const logprobs = batches.flatMap((batch) => batch.logprobs ?? []);
  return [
    {
      firstIndex: first.firstIndex,
      ids: batches.flatMap(({ ids }) => [...ids]),
      logprobs,
      cachedTokens: batches.find(({ cachedTokens }) => cachedTokens !== undefined)?.cachedTokens,
      handoff: batches.find(({ handoff }) => handoff !== undefined)?.handoff,
      finish: batches.at(-1)?.finish,
    },
  ];
};
/** As text: batches hold bytes and 64-bit numbers. */
const textOf = (outcomes: readonly Outcome[]): string[] =>
  outcomes.map((outcome) =>
    stringifyExactJson({
      ...outcome,
      batches: joined(outcome.batches).map(({ handoff, ...batch }) => ({
        ...batch,
        ...(handoff === undefined
          ? {}
          : { handoff: { ...handoff, opaque: Buffer.from(handoff.opaque).toString("utf8") } }),
      })),
    }),
  );

const idsOf = (outcomes: readonly string[], name: string): number[] => {
  const found = outcomes.map((text) => JSON.parse(text) as Outcome).find((one) => one.name === name);
  return found!.batches.flatMap(({ ids }) => [...ids]);
};

for (const file of (await readdir(folder)).filter((name) => name.endsWith(".json"))) {
  const recording = JSON.parse(await readFile(folder + file, "utf8")) as Recording;
  describe(`${file}: ${recording.server}`, () => {
    test("the adapter asks as it asked then, and reads the answers as then", async () => {
      const server = await startReplay(recording.exchanges);
      const decode = await startReplay(recording.decodeExchanges);
      try {
        const outcomes = await runScenario(
          adapterOf(recording.engine, server.url, recording.hasHandover),
          recording.hasHandover ? adapterOf(recording.engine, decode.url, true) : undefined,
          recording.engine === "vllm",
        );
        expect(textOf(outcomes)).toEqual(
          textOf(recording.outcomes.map((text) => parseExactJson(text) as Outcome)),
        );
      } finally {
        await Promise.all([server.close(), decode.close()]);
      }
    });

    test("what the server said keeps the contract of engines", () => {
      const { outcomes } = recording;
      const greedy = idsOf(outcomes, "greedy");
      expect(greedy).toHaveLength(8);
      expect(idsOf(outcomes, "again, from its cache")).toEqual(greedy);
      expect(idsOf(outcomes, "ended by a stop id")).toEqual(greedy.slice(0, greedy.indexOf(greedy[3]!) + 1));
      if (recording.hasHandover)
        expect(idsOf(outcomes, "decode of what was prefilled")).toEqual(
          idsOf(outcomes, "the same by one server"),
        );
      const errors = outcomes.map((text) => (JSON.parse(text) as Outcome).error);
      expect(errors.filter((error) => error !== undefined && !/invalid|notFound/.test(error.kind))).toEqual(
        [],
      );
    });

    test.skipIf(recording.kvMessages.length === 0)(
      "its events name the blocks of the prompt as we do",
      () => {
        const { blockTokens } = recording;
        const skipped: string[] = [];
        const namer = createEventNamer({ blockTokens, onSkipped: (reason) => skipped.push(reason) });
        const held = new Set<bigint>();
        for (const message of recording.kvMessages) {
          const { rank, events } = decodeBatch(Buffer.from(message, "base64"));
          for (const event of namer.apply(rank ?? 0, events))
            if (event.type === "stored") for (const name of event.sequenceHashes) held.add(name);
        }
        expect(skipped).toEqual([]);
        const names = [...nameBlocks(recordedPrompt, { blockTokens })];
        expect(names.length).toBeGreaterThan(1);
        expect(names.filter((name) => !held.has(name))).toEqual([]);
      },
    );
  });
}

/**
 * Makes a recording of a live server:
 * `STATOR_RECORD="vllm|what it is|url|decode url or nothing|replay endpoint or nothing|file"`.
 */
const wanted = process.env["STATOR_RECORD"]?.split("|");
test.skipIf(wanted === undefined)("records a live server", { timeout: 600_000 }, async () => {
  const [engine, server, url, decodeUrl = "", replay = "", file] = wanted as [
    Recording["engine"],
    string,
    ...string[],
  ];
  const exchanges: Exchange[] = [];
  const decodeExchanges: Exchange[] = [];
  const recorder = await startRecorder(url!, exchanges);
  const decodeRecorder = await startRecorder(decodeUrl || url!, decodeExchanges);
  const hasHandover = decodeUrl !== "";
  const adapter = adapterOf(engine, recorder.url, hasHandover);
  const outcomes = await runScenario(
    adapter,
    hasHandover ? adapterOf(engine, decodeRecorder.url, true) : undefined,
    engine === "vllm",
  );
  const recording: Recording = {
    engine,
    server,
    recorded: new Date().toISOString().slice(0, 10),
    hasHandover,
    blockTokens: adapter.card!.blockTokens,
    outcomes: textOf(outcomes),
    exchanges,
    decodeExchanges,
    kvMessages: replay === "" ? [] : await messagesOf(replay),
  };
  await writeFile(folder + file!, `${JSON.stringify(recording, undefined, 2)}\n`);
  await Promise.all([recorder.close(), decodeRecorder.close()]);
});

async function messagesOf(replay: string): Promise<string[]> {
  const socket = new Dealer({ receiveTimeout: 5_000, linger: 0 });
  socket.connect(replay);
  await socket.send([Buffer.alloc(0), Buffer.alloc(8)]);
  const messages: string[] = [];
  for (;;) {
    const [head, payload] = (await socket.receive()).slice(-2);
    if (head === undefined || head.readBigInt64BE() === -1n) break;
    if (isOfPrompt(payload!)) messages.push(payload!.toString("base64"));
  }
  socket.close();
  return messages;
}

/** A server that is not fresh tells of other prompts too. */
function isOfPrompt(payload: Buffer): boolean {
  const prompt = `,${[...recordedPrompt].join(",")},`;
  return decodeBatch(payload).events.some(
    (event) => event.type === "stored" && prompt.includes(`,${event.tokenIds.slice(0, 16).join(",")},`),
  );
}
