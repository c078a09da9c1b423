import { readFileSync } from "node:fs";
import { parseLayout, type Layout } from "@stator/core";
import {
  blockTokensOfDecisions,
  constantRate,
  conversationWorkload,
  generateLoad,
  modelFromConfig,
  modelledWorker,
  parseMooncakeTrace,
  plannedScaling,
  simulateLayout,
  SimulatorError,
  systemFromYaml,
  type BackendName,
  type HfConfig,
  type SimulatedScaling,
  type Simulation,
  type TraceRequest,
  type WorkerChange,
  workloadOfDecisions,
} from "@stator/simulator";
import type { Limits, Slo } from "@stator/planner";
import { parseDecisions } from "@stator/router";
import type { PlannerRules } from "../commands/planner/config.ts";
import { readProfile } from "../commands/planner/flags.ts";

/** One question to the simulator: plain data, so that it travels to a thread. */
export interface WhatIf {
  readonly layout: Layout;
  readonly trace?: string;
  /** A file of recorded decisions, instead of a trace. */
  readonly decisions?: string;
  /** `kind,key=value…`, as the planner's replay takes it, or `conversations,rate=…`. */
  readonly load?: string;
  readonly model?: string;
  readonly system?: string;
  readonly backend?: BackendName;
  readonly quantization?: string;
  readonly hostGb?: number;
  readonly concurrency?: number;
  readonly speedup?: number;
  readonly seed?: number;
  readonly blockTokens?: number;
  readonly startupMs?: number;
  readonly changes?: readonly WorkerChange[];
  /** Scales the layout's pools as the run goes on. */
  readonly planner?: PlannerRules;
  /** Leading tokens that prompts of a generated load share within their group. */
  readonly shared?: number;
  readonly prefixGroups?: number;
}

/** Runs one what-if question. */
export function answer(question: WhatIf, onProgress?: (ratio: number) => void): Simulation {
  const { layout, concurrency, speedup, seed, changes, planner } = question;
  const startupMs = question.startupMs ?? (planner === undefined ? undefined : planner.startupSeconds * 1000);
  const worker = workerOf(question);
  const { workload, blockTokens = question.blockTokens } = workloadOf(question);
  return simulateLayout({
    layout,
    workload,
    ...worker,
    ...(planner === undefined ? {} : { scaling: scalingOf(planner, layout, worker, startupMs) }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(speedup === undefined ? {} : { speedup }),
    ...(seed === undefined ? {} : { seed }),
    ...(blockTokens === undefined ? {} : { blockTokens }),
    ...(startupMs === undefined ? {} : { startupMs }),
    ...(changes === undefined ? {} : { changes }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

function scalingOf(
  { profile, slo, limits, intervalSeconds }: PlannerRules,
  layout: Layout,
  worker: ReturnType<typeof workerOf>,
  startupMs: number | undefined,
): SimulatedScaling {
  return plannedScaling({
    layout,
    ...worker,
    ...(profile === undefined ? {} : { profile: readProfile(profile) }),
    // A key that is absent here is `undefined` in the schema's type.
    ...(slo === undefined ? {} : { slo: slo as Slo }),
    limits: limits as Limits,
    intervalMs: intervalSeconds * 1000,
    startupMs,
  });
}

function workerOf({ model, system, backend, quantization, hostGb }: WhatIf): {
  worker?: ReturnType<typeof modelledWorker>;
} {
  if (model === undefined || system === undefined) {
    if (model === system) return {};
    throw invalid("--model and --system go together: what is served, and on what.");
  }
  return {
    worker: modelledWorker({
      model: model.endsWith(".json")
        ? modelFromConfig(JSON.parse(readFileSync(model, "utf8")) as HfConfig, { name: model })
        : model,
      system: /\.ya?ml$/.test(system) ? systemFromYaml(readFileSync(system, "utf8")) : system,
      ...(backend === undefined ? {} : { backend }),
      ...(quantization === undefined ? {} : { quantization }),
      ...(hostGb === undefined ? {} : { hostGb }),
    }),
  };
}

/** With the block size where the workload has names of blocks already. */
function workloadOf(question: WhatIf): {
  readonly workload: readonly TraceRequest[];
  readonly blockTokens?: number;
} {
  if (question.decisions === undefined) return { workload: requestsOf(question) };
  try {
    const decisions = parseDecisions(readFileSync(question.decisions, "utf8"));
    if (decisions.length === 0) throw new RangeError("It holds none: a line is written when a request ends.");
    return {
      workload: workloadOfDecisions(decisions),
      blockTokens: blockTokensOfDecisions(decisions),
    };
  } catch (cause) {
    throw invalid(`--decisions ${question.decisions}: ${(cause as Error).message}`);
  }
}

function requestsOf({ trace, load, shared = 0, prefixGroups = 1 }: WhatIf): readonly TraceRequest[] {
  if (trace !== undefined) return parseMooncakeTrace(readFileSync(trace, "utf8"));
  const spec = load ?? "constant,rate=2,duration=300";
  if (spec.startsWith("conversations")) return conversations(spec);
  const { workload } = generateLoad(spec);
  const blocks = Math.floor(shared / 512);
  let next = prefixGroups * blocks;
  return workload.map((request, r) => ({
    ...request,
    blockIds: Array.from({ length: Math.ceil(request.inputTokens / 512) }, (_, i) =>
      i < blocks ? (r % prefixGroups) * blocks + i : next++,
    ),
  }));
}

function conversations(spec: string): readonly TraceRequest[] {
  const values: Record<string, number> = { rate: 1, duration: 300, turns: 3, think: 20, seed: 1 };
  for (const pair of spec.split(",").slice(1)) {
    const [key = "", text = ""] = pair.split("=");
    if (!(key in values) || text === "" || !(Number(text) >= 0))
      throw invalid(`"${pair}" is nothing conversations takes. Keys: ${Object.keys(values).join(", ")}.`);
    values[key] = Number(text);
  }
  return conversationWorkload({
    rate: constantRate(values["rate"]!),
    durationMs: values["duration"]! * 1000,
    meanTurns: values["turns"]!,
    thinkMs: values["think"]! * 1000,
    seed: values["seed"]!,
  });
}

const settings = new Set(
  "trace decisions load model system backend quantization hostGb concurrency speedup seed blockTokens startupMs shared prefixGroups".split(
    " ",
  ),
);
const parallelisms = new Set(["tensor", "pipeline", "data", "expert"]);

/**
 * The same question with one thing changed: a setting (`concurrency`, `system` …), a pool's field (`decode.replicas`,
 * `prefill.tensor`, `decode.policy`), a field of all pools (`policy`, `replicas`, `tensor`), or `load.rate` and its like.
 *
 * @throws SimulatorError `SIMULATOR_RUN_INVALID` for a key that means nothing.
 */
export function withSetting(question: WhatIf, key: string, text: string): WhatIf {
  const value = text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  if (settings.has(key)) return { ...question, [key]: value };
  const [head = "", field] = key.split(".");
  if (head === "load" && field !== undefined)
    return { ...question, load: `${question.load ?? "constant"},${field}=${text}` };
  const layout = structuredClone(question.layout) as unknown as {
    models: Record<string, { pools: Record<string, Record<string, unknown>> }>;
  };
  let found = 0;
  for (const { pools } of Object.values(layout.models)) {
    for (const [name, pool] of Object.entries(pools)) {
      if (field !== undefined && name !== head) continue;
      const what = field ?? head;
      if (what === "policy") pool["policy"] = { name: text };
      else if (what === "replicas" || what === "gpusPerReplica") pool[what] = value;
      else if (parallelisms.has(what))
        pool["parallelism"] = { ...(pool["parallelism"] as object | undefined), [what]: value };
      else continue;
      found++;
    }
  }
  if (found === 0) {
    throw invalid(
      `Nothing is called "${key}". There are ${[...settings].join(", ")}; policy, replicas, tensor, pipeline, data, expert, of all pools or one (decode.replicas); load.rate and its like.`,
    );
  }
  return { ...question, layout: parseLayout(layout) };
}

function invalid(message: string): SimulatorError {
  return new SimulatorError({ code: "SIMULATOR_RUN_INVALID", kind: "invalid", message });
}
