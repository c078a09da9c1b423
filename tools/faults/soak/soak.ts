import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import { createProcessRig, startRigLoad } from "@stator/testing";
import { bundledProgram } from "../processes/program.ts";
import { pause } from "../pause.ts";
import { createReference, requestsOf } from "../reference.ts";
import { profiles } from "../row.ts";
import { seededRandom } from "../statistics.ts";
import { defaultWorkerConfig } from "../processes/worker-config.ts";
import { lowerEnvelope, trendOf, verdictOf, type Trend, type TrendVerdict } from "./memory-trend.ts";
import { createQuietSampler, type SoakSample } from "./quiet-sample.ts";
import { strikeAtRandom } from "./strike-at-random.ts";

export interface SoakOptions {
  readonly minutes: number;
  /** Default 1. */
  readonly seed?: number;
  /** Default 20 s. */
  readonly everySeconds?: number;
  readonly onProgress?: (sample: SoakSample) => void;
}

/** Open handles by kind with nothing under way: no load, all sessions up, nothing big fetched for a while. */
export type HandlesAtRest = Readonly<Record<string, number>>;

export interface SoakResult {
  readonly seed: number;
  readonly minutes: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly requests: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly mismatched: number;
  /** Whether the caller's RSS stays under `aimPctPerHour`. */
  readonly rss: TrendVerdict;
  /** After the first fifth of the time, of what is left at quiet points; each with its interval of 95 %. */
  readonly rssSlopePctPerHour: Trend;
  readonly heapSlopePctPerHour: Trend;
  /** Where growth would come from: objects outside the heap, and the allocator of C and C++. */
  readonly externalSlopePctPerHour: Trend;
  readonly nativeSlopePctPerHour: Trend;
  /** Samples within the run see sessions come and go; these do not: before the load and after it. */
  readonly handlesBefore: HandlesAtRest;
  readonly handlesAfter: HandlesAtRest;
  /** Kinds of which more are open afterwards. */
  readonly handlesGrown: readonly string[];
  readonly first: SoakSample;
  readonly last: SoakSample;
  /** Of each window the one with the lowest RSS: what the slope of RSS is of. */
  readonly samples: readonly SoakSample[];
  /** KV blocks and offers still held by workers when all was over. */
  readonly leaked: number;
  readonly failures: readonly string[];
}

/** Row 26 of the matrix. */
const aimPctPerHour = 1;

/** Everything at once: a random fault every so often, for as long as asked; afterwards nothing may be left behind. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { minutes, seed = 1, everySeconds = 20 } = options;
  const random = seededRandom(seed);
  const profile = profiles.ci;
  const program = await bundledProgram("worker");
  await using rig = await createProcessRig({
    isProxied: true,
    workers: [
      ...[0, 1, 2, 3].map((i) => ({ name: `decode-${i}`, role: "decode" as const })),
      ...[0, 1].map((i) => ({ name: `prefill-${i}`, role: "prefill" as const })),
    ],
    process: ({ name, role }, discovery) => ({
      command: process.execPath,
      // Small heaps, so that running out of memory takes little of the machine's.
      args: [
        "--max-old-space-size=128",
        ...program,
        JSON.stringify({ ...defaultWorkerConfig, name, role, discovery }),
      ],
    }),
  });
  const reference = await createReference("simulated");
  const graph = migrating(
    disaggregated({
      prefill: createPool({ workers: rig.runtime.workers({ role: "prefill" }), name: "prefill" }),
      decode: createPool({ workers: rig.runtime.workers({ role: "decode" }), name: "decode" }),
      when: uncachedTokensAbove(200),
    }),
  );
  const usual = requestsOf({ seed, random: seededRandom(seed + 1), profile, engine: "simulated" });
  const handlesBefore = await handlesAtRest();
  const sampler = createQuietSampler();
  const startedMs = performance.now();
  const endMs = startedMs + minutes * 60_000;
  const faults: Record<string, number> = {};
  const failures: string[] = [];
  const totals = { requests: 0, lost: 0, duplicated: 0, mismatched: 0 };
  const samples: SoakSample[] = [];

  // One load after the other, each checked and forgotten: what the tester keeps must not look like a leak.
  let current: ReturnType<typeof startRigLoad> | undefined;
  const load = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const untilMs = Math.min(endMs, performance.now() + 10_000);
      const from = totals.requests;
      current = startRigLoad({
        engine: graph,
        clients: profile.clients,
        request: (n) => usual(from + n),
        isOver: () => performance.now() > untilMs,
      });
      await current.done;
      for (const violation of current.violations()) failures.push(JSON.stringify(violation));
      totals.duplicated += current.violations().length;
      totals.requests += current.requests.length;
      for (const { request, result, error, leftMs, tokens } of current.requests) {
        if (leftMs !== undefined) continue;
        if (error !== undefined) {
          totals.lost += 1;
          failures.push(`${request.id} after ${tokens}: ${error.code} ${error.message}`);
        } else if (JSON.stringify(await reference.of(request)) !== JSON.stringify(result)) {
          totals.mismatched += 1;
          failures.push(`${request.id} differs`);
        }
      }
      current = undefined;
      const sample = await sampler.sample((performance.now() - startedMs) / 60_000);
      samples.push(sample);
      options.onProgress?.(sample);
    }
  };

  const strikes = async (): Promise<void> => {
    while (performance.now() + everySeconds * 1_000 < endMs) {
      await pause(everySeconds * 1_000);
      const fault = await strikeAtRandom({ rig, random, inFlight: () => current?.inFlight() ?? [] }).catch(
        (error: unknown) => void failures.push(`a fault failed: ${String(error)}`),
      );
      if (fault !== undefined) faults[fault] = (faults[fault] ?? 0) + 1;
    }
  };

  await Promise.all([load(), strikes()]);
  sampler.close();
  for (const { name } of rig.workers) await rig.selectable(name);
  let leaked = 1;
  const patienceMs = performance.now() + 15_000;
  while (leaked > 0 && performance.now() < patienceMs) {
    const states = await Promise.all(rig.workers.map(({ name }) => rig.command(name, "state")));
    leaked = states.reduce(
      (sum, state) => sum + Number(state["usedBlocks"]) + Number(state["openOffers"]),
      0,
    );
    await pause(100);
  }
  const handlesAfter = await handlesAtRest(handlesBefore);
  await reference.close();
  const warm = samples.slice(Math.floor(samples.length / 5));
  const trend = (size: (sample: SoakSample) => number): Trend =>
    trendOf(warm.map((sample) => [sample.minute, size(sample)]));
  const rssSlopePctPerHour = trend(({ rssMb }) => rssMb);
  return {
    seed,
    minutes,
    faults,
    ...totals,
    rss: verdictOf(rssSlopePctPerHour, aimPctPerHour, (minutes * 4) / 5),
    rssSlopePctPerHour,
    heapSlopePctPerHour: trend(({ heapMb }) => heapMb),
    externalSlopePctPerHour: trend(({ externalMb }) => externalMb),
    nativeSlopePctPerHour: trend(({ nativeMb }) => nativeMb),
    handlesBefore,
    handlesAfter,
    handlesGrown: Object.keys(handlesAfter).filter(
      (kind) => handlesAfter[kind]! > (handlesBefore[kind] ?? 0),
    ),
    first: warm[0]!,
    last: samples.at(-1)!,
    samples: lowerEnvelope(
      warm,
      ({ minute }) => minute,
      ({ rssMb }) => rssMb,
    ),
    leaked,
    failures: failures.slice(0, 10),
  };
}

/**
 * Waits for what closes by itself (idle connections of fetches and commands, 5 s each) and counts what is left, for at most
 * 30 s or until it is what it was before. Timers are not counted.
 */
async function handlesAtRest(before?: HandlesAtRest): Promise<HandlesAtRest> {
  const endMs = performance.now() + (before === undefined ? 12_000 : 30_000);
  for (;;) {
    await pause(500);
    const counts: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) {
      if (kind !== "Timeout" && kind !== "Immediate") counts[kind] = (counts[kind] ?? 0) + 1;
    }
    const isFlat =
      before !== undefined && Object.keys(counts).every((kind) => counts[kind]! <= (before[kind] ?? 0));
    if (isFlat || performance.now() > endMs) return counts;
  }
}
