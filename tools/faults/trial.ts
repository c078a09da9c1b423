import {
  createPool,
  disaggregated,
  migrating,
  uncachedTokensAbove,
  type MigratingEngine,
} from "@stator/router";
import type { Engine } from "@stator/core";
import type { Discovery } from "@stator/runtime";
import {
  createProcessRig,
  startRigLoad,
  until,
  type ProcessRig,
  type RigLoad,
  type RigRequest,
  type TimedNote,
} from "@stator/testing";
import { bundledProgram, sourceProgram } from "./processes/program.ts";
import { createReference, requestsOf } from "./reference.ts";
import type { RowContext, RowResult } from "./row.ts";
import { watchStalls } from "./stalls.ts";
import { percentile } from "./statistics.ts";
import { defaultWorkerConfig, type WorkerConfig } from "./processes/worker-config.ts";

/** A cluster of worker processes under load. */
export interface Trial {
  readonly context: RowContext;
  readonly rig: ProcessRig;
  readonly graph: MigratingEngine;
  readonly load: RigLoad;
  readonly notes: readonly TimedNote[];
  /** A request in the middle of its output; resolves once there is one and what ran at the last pick has ended. */
  streaming(): Promise<RigRequest & { readonly worker: string }>;
  /** Resolves once what ran at the last call has ended: one request, one fault. */
  settled(): Promise<void>;
  /** Resolves when so many more requests have ended. */
  passed(requests: number): Promise<void>;
}

export interface TrialOptions {
  /** Of every worker; a function to tell them apart. */
  readonly config?: Partial<WorkerConfig> | ((name: string) => Partial<WorkerConfig>);
  readonly decode?: number;
  readonly prefill?: number;
  readonly discovery?: { readonly discovery: Discovery; readonly address: string };
  readonly isProxied?: boolean;
  readonly clients?: number;
  /** Least requests; default: the profile's. */
  readonly requests?: number;
  /** For Node itself, by worker. */
  readonly nodeArgs?: readonly string[];
  readonly request?: (
    n: number,
    usual: ReturnType<typeof requestsOf>,
  ) => ReturnType<ReturnType<typeof requestsOf>>;
  /** Requests that may wait in the decode pool. Default: the pool's. */
  readonly queue?: number;
  /** What the clients do with the graph. Default: send to it. */
  readonly client?: (graph: MigratingEngine) => Engine;
  /** Ends that the row itself asked for, such as a client's leaving. */
  readonly isExpected?: (request: RigRequest) => boolean;
}

/** What a row saw of its faults. */
export interface Struck {
  readonly faults: number;
  readonly confirmed: number;
  readonly detectMs?: readonly number[];
  readonly recoveryMs?: readonly number[];
  readonly more?: Readonly<Record<string, number>>;
  /** Looked at once the load has ended, while the processes still run: what is left behind. */
  readonly after?: () => Promise<Readonly<Record<string, number>>>;
}

/** How long one request may take in all before it counts as hung. */
const hungMs = 120_000;

/** Standing still for longer than it takes to give a worker up, in ms: what was measured is the machine and not the cluster. */
const voidStallMs = 1_000;

/** Starts the processes and the load, lets the row strike, waits for the load's end, and compares. */
export async function trial(
  context: RowContext,
  options: TrialOptions,
  strike: (trial: Trial) => Promise<Struck>,
): Promise<RowResult> {
  const { profile } = context;
  const program = context.engine === "llama" ? sourceProgram("worker") : await bundledProgram("worker");
  const configOf = (name: string): Partial<WorkerConfig> =>
    typeof options.config === "function" ? options.config(name) : (options.config ?? {});
  const { decode = 4, prefill = 2 } = options;
  await using rig = await createProcessRig({
    workers: [
      ...Array.from({ length: decode }, (_, i) => ({ name: `decode-${i}`, role: "decode" as const })),
      ...Array.from({ length: prefill }, (_, i) => ({ name: `prefill-${i}`, role: "prefill" as const })),
    ],
    process({ name, role }, discovery) {
      const config: WorkerConfig = {
        ...defaultWorkerConfig,
        engine: context.engine,
        stepMs: profile.stepMs,
        name,
        role,
        discovery,
        ...configOf(name),
      };
      return {
        command: process.execPath,
        args: [...(options.nodeArgs ?? []), ...program, JSON.stringify(config)],
      };
    },
    // A worker that is added while the store is away is known only after the outage.
    readyMs: 60_000 + profile.outageMs,
    ...(options.discovery === undefined ? {} : { discovery: options.discovery }),
    ...(options.isProxied === undefined ? {} : { isProxied: options.isProxied }),
  });
  const notes: TimedNote[] = [];
  rig.onNote((note) => notes.push(note));
  const decoders = createPool({
    workers: rig.runtime.workers({ role: "decode" }),
    name: "decode",
    ...(options.queue === undefined ? {} : { queue: options.queue }),
  });
  const graph = migrating(
    prefill === 0
      ? decoders
      : disaggregated({
          prefill: createPool({ workers: rig.runtime.workers({ role: "prefill" }), name: "prefill" }),
          decode: decoders,
          when: uncachedTokensAbove(200),
        }),
  );
  const usual = requestsOf(context);
  const least = options.requests ?? profile.requests;
  let isStruck = false;
  const load = startRigLoad({
    engine: options.client?.(graph) ?? graph,
    clients: options.clients ?? profile.clients,
    request: (n) => options.request?.(n, usual) ?? usual(n),
    isOver: (sent) => isStruck && sent >= least,
  });
  const ended = (): number => load.requests.length - load.inFlight().length;
  let lastPickMs = Number.NEGATIVE_INFINITY;
  const one: Trial = {
    context,
    rig,
    graph,
    load,
    notes,
    // One request, one death: three in a row end it by the bound on attempts, which is another row's subject.
    async settled() {
      await until("what the last fault hurt has ended", () =>
        load.inFlight().every(({ sentMs }) => sentMs > lastPickMs),
      );
      lastPickMs = performance.now();
    },
    async streaming() {
      let found: RigRequest | undefined;
      await one.settled();
      // At every token index alike: one of the present ones, not the oldest.
      await until("a request streams", () => {
        const candidates = load
          .inFlight()
          .filter((r) => r.tokens > 0 && r.worker !== undefined && r.request.limits.maxTokens - r.tokens > 2)
          .filter((r) => r.leftMs === undefined && rig.handle(r.worker!)?.health.isSelectable === true);
        found = candidates[Math.floor(context.random() * candidates.length)];
        return found !== undefined;
      });
      lastPickMs = performance.now();
      return found as RigRequest & { worker: string };
    },
    async passed(requests) {
      const from = ended();
      await until(`${requests} more requests end`, () => ended() >= from + requests);
    },
  };
  await one.passed(Math.min(least, profile.clients));
  let struck: Struck;
  let isHung = false;
  let stalledMs: number;
  const stalls = watchStalls();
  try {
    struck = await strike(one);
  } finally {
    stalledMs = stalls.stop();
    isStruck = true;
  }
  // The load goes on until all of its requests were sent, which takes minutes where they are long.
  let isDone = false;
  const done = load.done.finally(() => (isDone = true));
  done.catch(() => undefined);
  const isOverdue = (): boolean => load.inFlight().some(({ sentMs }) => performance.now() - sentMs > hungMs);
  await until("the load ends", () => isDone || isOverdue(), least * hungMs);
  if (isDone) await done;
  else isHung = true;
  const left = (await struck.after?.()) ?? {};
  const result = await compare(
    context,
    options,
    load,
    graph,
    { ...struck, more: { ...struck.more, ...left } },
    isHung,
  );
  // The small profile is for texts and leaks, on machines that are busy with other tests.
  const isStill = context.profile.name !== "test" && stalledMs > voidStallMs;
  return {
    ...result,
    stalledMs,
    ...(isStill ? { isVoid: `the machine stood still for ${stalledMs} ms while faults were measured` } : {}),
  };
}

async function compare(
  context: RowContext,
  options: TrialOptions,
  load: RigLoad,
  graph: MigratingEngine,
  struck: Struck,
  isHung: boolean,
): Promise<RowResult> {
  const reference = await createReference(context.engine);
  const failures: string[] = [];
  let lost = isHung ? load.inFlight().length : 0;
  let mismatched = 0;
  const gaps: number[] = [];
  let generatedTokens = 0;
  const recomputedOver: number[] = [];
  for (const request of load.requests) {
    const { result, error } = request;
    const recomputed = request.events.map((e) =>
      e.type === "migrated" && e.outcome === "resumed" ? e.recomputedTokens : undefined,
    );
    if (recomputed.some((tokens) => tokens !== undefined)) {
      generatedTokens += request.tokens;
      // A prompt that the dead worker computed itself had no other copy.
      const isHeldElsewhere = request.events.find((e) => e.type === "prefilled")?.attempt === 0;
      if (isHeldElsewhere)
        recomputedOver.push(recomputed.reduce<number>((sum, tokens = 0) => sum + tokens, 0) - request.tokens);
    }
    for (const event of request.events) {
      if (event.type === "migrated" && event.outcome === "resumed")
        gaps.push(Math.max(0, event.gapMs - context.profile.stepMs));
    }
    if (options.isExpected?.(request) === true) continue;
    if (error !== undefined) {
      lost += 1;
      failures.push(`${request.request.id} after ${request.tokens}: ${error.code} ${error.message}`);
    } else if (result !== undefined) {
      const expected = await reference.of(request.request);
      if (JSON.stringify(expected) === JSON.stringify(result)) continue;
      mismatched += 1;
      const at = expected.ids.findIndex((id, i) => result.ids[i] !== id);
      failures.push(
        `${request.request.id} (n ${request.request.limits.maxTokens}) differs at ${at}: ${JSON.stringify(request.events.filter((e) => e.type === "migrated"))}`,
      );
    }
  }
  await reference.close();
  const violations = load.violations();
  for (const violation of violations) failures.push(JSON.stringify(violation));
  const { faults, confirmed, detectMs = [], recoveryMs = [], more } = struck;
  const isShort = load.requests.length < (options.requests ?? context.profile.requests);
  return {
    faults,
    confirmed,
    requests: load.requests.length,
    lost,
    duplicated: violations.length,
    mismatched,
    ...(gaps.length === 0 ? {} : { gapP50Ms: percentile(gaps, 0.5), gapP99Ms: percentile(gaps, 0.99) }),
    ...(detectMs.length === 0 ? {} : { detectP99Ms: percentile(detectMs, 0.99) }),
    ...(recoveryMs.length === 0 ? {} : { recoveryMs: percentile(recoveryMs, 1) }),
    recomputedTokens: graph.counts.recomputedTokens,
    generatedTokens,
    ...(recomputedOver.length === 0 ? {} : { recomputedOverP99: percentile(recomputedOver, 0.99) }),
    more: { migrations: gaps.length, ...more },
    ...(isShort ? { isVoid: `only ${load.requests.length} requests` } : {}),
    ...(confirmed < faults ? { isVoid: `only ${confirmed} of ${faults} faults were confirmed` } : {}),
    ...(failures.length === 0 ? {} : { failures: failures.slice(0, 10) }),
  };
}
