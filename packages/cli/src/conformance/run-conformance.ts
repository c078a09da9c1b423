import {
  createRequest,
  nameBlocks,
  silentLogger,
  StatorError,
  type Engine,
  type ModelCard,
} from "@stator/core";
import { disaggregated, always, createPool } from "@stator/router";
import { engineBesideServer, type ServerLayoutEngine } from "../processes/engine-beside-server.ts";

export interface ConformanceOptions {
  readonly engine: ServerLayoutEngine;
  /** A second server of the same model: KV is handed over to it. */
  readonly decode?: ServerLayoutEngine;
  /** Prompts are made of ids from here to `lastId`; lower ones where the server refuses that one. */
  readonly firstId: number;
  readonly lastId: number;
  /** Longest time of one case, ms. Default 120,000. */
  readonly caseMs?: number;
}

export interface ConformanceCase {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly reason?: string;
  readonly ms: number;
}

export interface ConformanceReport {
  readonly engine: string;
  readonly url: string;
  readonly card: ModelCard;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cases: readonly ConformanceCase[];
}

/** Cases of the suite that need engines with empty caches, or knowledge of their inside: a live server has neither. */
const notForServers = new Set([
  "reuses a prompt's KV and says how many tokens it did not compute",
  "names in its events exactly the blocks that its snapshot has and that it does not compute again",
  "hands KV over to another engine of its kind, which goes on as one engine would",
  "refuses KV of another layout, never takes that of another prompt, and serves on",
  "lets KV go when its handoff is abandoned, or accounts for what it cannot free",
]);

/** Runs the engine suite's cases that hold for servers, and those of handover and events, against live servers. */
export async function runConformance(options: ConformanceOptions): Promise<ConformanceReport> {
  const { caseMs = 120_000 } = options;
  let { firstId, lastId } = options;
  const { engineSuite } = await import("@stator/engines/testing");
  // Another prompt at each run: a live server's cache is not ours to empty.
  const run = Math.floor(Math.random() * 2 ** 31);
  const prompt = (seed: number, tokens: number): Uint32Array =>
    Uint32Array.from({ length: tokens }, (_, i) => {
      const mixed = Math.imul((seed * 131 + i + 1) ^ run, 2_654_435_761) >>> 9;
      return firstId + (mixed % (lastId - firstId));
    });
  const create = (layout: ServerLayoutEngine): ReturnType<typeof engineBesideServer> =>
    engineBesideServer(layout, {
      model: "conformance",
      logger: silentLogger,
      onGone: () => {},
      readyMs: 10_000,
    });

  const probe = await create(options.engine);
  const card = probe.card!;
  lastId = await knownId(probe, lastId, caseMs);
  if (firstId >= lastId) firstId = Math.floor(lastId / 2);
  const request = createRequest({
    id: "conformance",
    model: "conformance",
    promptIds: prompt(99, Math.min(200, Math.floor(card.contextTokens / 2))),
    limits: { maxTokens: 24, ignoreEos: true },
  });

  const cases: ConformanceCase[] = [];
  const check = async (name: string, act: () => Promise<string | void>): Promise<void> => {
    const started = performance.now();
    const end = (outcome: ConformanceCase["outcome"], reason?: string): void => {
      const ms = Math.round(performance.now() - started);
      cases.push({ name, outcome, ms, ...(reason === undefined ? {} : { reason }) });
    };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no end within ${caseMs} ms`)), caseMs);
    });
    try {
      const inapplicable = await Promise.race([act(), late]);
      end(typeof inapplicable === "string" ? "skipped" : "passed", inapplicable ?? undefined);
    } catch (error) {
      end("failed", error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
    }
  };

  for (const { name, run: act } of engineSuite({ create: () => create(options.engine), prompt })) {
    if (notForServers.has(name)) continue;
    if (name.startsWith("serves the tokenizer") && options.engine.tokenizerPath === undefined)
      await check(name, () => Promise.resolve("no tokenizer was given (--tokenizer)"));
    else await check(name, act);
  }
  await check("says the same text twice, greedy", async () => {
    const [first, second] = [await idsOf(probe, request), await idsOf(probe, request)];
    if (first.join() !== second.join())
      return "the server's batch changes the text: its card must not say batchInvariant";
    return undefined;
  });
  await check("tells its load", async () => {
    await new Promise<void>((resolve) => {
      const stop = probe.onStatus!(() => {
        setImmediate(() => stop());
        resolve();
      });
    });
  });
  await check("hands KV over to the second server, which gives the text of one", async () => {
    if (options.decode === undefined) return "no second server was given (--decode-url)";
    if (card.connectors.length === 0) return "no connector was given (--connector)";
    const decode = await create(options.decode);
    try {
      const joined = disaggregated({
        prefill: createPool({ workers: [probe] }),
        decode: createPool({ workers: [decode] }),
        when: always,
      });
      const alone = await idsOf(decode, { ...request, promptIds: prompt(98, request.promptIds.length) });
      const ids = await idsOf(joined, { ...request, promptIds: prompt(98, request.promptIds.length) });
      if (joined.counts.handedOver === 0)
        throw new Error("the KV was not taken; the prompt was computed at the second server");
      if (alone.join() !== ids.join())
        throw new Error(`after the handover: ${ids.join()}; alone: ${alone.join()}`);
    } finally {
      await decode.close();
    }
    return undefined;
  });
  await check("tells the blocks of a prompt in its KV events, as we name them", async () => {
    if (options.engine.kvEvents === undefined) return "no event feed was given (--kv-events)";
    const names = nameBlocks(request.promptIds, { blockTokens: card.blockTokens });
    const held = new Set<bigint>();
    probe.onStatus!(({ events = [] }) => {
      for (const event of events.flatMap((batch) => batch.events))
        if (event.type === "stored") for (const name of event.sequenceHashes) held.add(name);
    });
    const deadline = performance.now() + 10_000;
    for (let seed = 200; performance.now() < deadline; seed++) {
      const promptIds = prompt(seed, request.promptIds.length);
      await idsOf(probe, { ...request, promptIds });
      await new Promise((resolve) => setTimeout(resolve, 200));
      const own = nameBlocks(promptIds, { blockTokens: card.blockTokens });
      if (own.every((name) => held.has(name))) return undefined;
    }
    throw new Error(
      `of ${names.length} blocks per prompt not all came as events; ${held.size} blocks were told in all`,
    );
  });
  await probe.close();

  const count = (outcome: ConformanceCase["outcome"]): number =>
    cases.filter((each) => each.outcome === outcome).length;
  return {
    engine: options.engine.kind,
    url: options.engine.url!,
    card,
    passed: count("passed"),
    failed: count("failed"),
    skipped: count("skipped"),
    cases,
  };
}

async function idsOf(engine: Engine, request: Parameters<Engine["generate"]>[0]): Promise<number[]> {
  const ids: number[] = [];
  const signal = new AbortController().signal;
  for await (const batch of engine.generate(request, { signal })) ids.push(...batch.ids);
  return ids;
}

/** The greatest of `lastId`, half of it, and so on, that the server takes: models for trials have few ids. */
async function knownId(engine: Engine, lastId: number, caseMs: number): Promise<number> {
  for (let id = lastId; id > 16; id = Math.floor(id / 2)) {
    const asked = createRequest({
      id: `id-${id}`,
      model: "conformance",
      promptIds: Uint32Array.of(id),
      limits: { maxTokens: 1, ignoreEos: true },
    });
    try {
      for await (const _ of engine.generate(asked, { signal: AbortSignal.timeout(caseMs) })) break;
      return id;
    } catch (error) {
      // Whatever else is wrong shows in the cases.
      if (!StatorError.isInstance(error) || error.kind !== "invalid") return lastId;
    }
  }
  return lastId;
}
