/** What is asked: the best layout of a budget, the fewest GPUs for a load, what one layout does, and two tables. */
export type Task = "search" | "recommend" | "estimate" | "support" | "validate";

/** Everything the reader can set; all of it travels in the address. */
export interface Inputs {
  readonly task: Task;
  readonly model: string;
  readonly system: string;
  readonly backend: "vllm" | "sglang" | "trtllm";
  readonly quantization: string;
  readonly gpus: number;
  readonly isl: number;
  readonly osl: number;
  readonly prefix: number;
  readonly arrival: "closed" | "poisson" | "burst";
  readonly ttft: number;
  readonly tpot: number;
  /** Limit of a whole request in seconds; 0 for none. */
  readonly request: number;
  /** Load to serve with the fewest GPUs, and whether it counts requests a second or in flight. */
  readonly load: number;
  readonly loadKind: "rate" | "concurrency";
  /** One layout: how it batches and how its workers split the model. */
  readonly mode: "agg" | "static" | "disagg";
  readonly tp: number;
  readonly pp: number;
  readonly dp: number;
  readonly ep: number;
  readonly batch: number;
  readonly workers: number;
  /** The same of its prefill workers. */
  readonly ptp: number;
  readonly pdp: number;
  readonly pep: number;
  readonly pworkers: number;
  /** A pasted config.json, which replaces the model's name. */
  readonly config: string;
  /** A pasted YAML record, which replaces the system's name. */
  readonly record: string;
}

export const defaultInputs: Inputs = {
  task: "search",
  model: "Qwen/Qwen3-32B",
  system: "h200",
  backend: "vllm",
  quantization: "auto",
  gpus: 16,
  isl: 8192,
  osl: 1024,
  prefix: 0,
  arrival: "closed",
  ttft: 2000,
  tpot: 25,
  request: 0,
  load: 10,
  loadKind: "rate",
  mode: "agg",
  tp: 2,
  pp: 1,
  dp: 1,
  ep: 1,
  batch: 32,
  workers: 1,
  ptp: 1,
  pdp: 1,
  pep: 1,
  pworkers: 1,
  config: "",
  record: "",
};

export interface Preset {
  readonly name: string;
  readonly hint: string;
  readonly values: Partial<Inputs>;
}

export const presets: readonly Preset[] = [
  {
    name: "Chat",
    hint: "1k in, 1k out, brisk",
    values: { isl: 1024, osl: 1024, prefix: 0, ttft: 1000, tpot: 20 },
  },
  {
    name: "Long documents",
    hint: "8k in, 1k out",
    values: { isl: 8192, osl: 1024, prefix: 0, ttft: 2000, tpot: 25 },
  },
  {
    name: "Reasoning",
    hint: "1k in, 8k out",
    values: { isl: 1024, osl: 8192, prefix: 0, ttft: 2000, tpot: 15 },
  },
  {
    name: "Agent",
    hint: "12k in, 10k cached",
    values: { isl: 12288, osl: 400, prefix: 10240, ttft: 1500, tpot: 25 },
  },
];

/** Inputs as the fragment of the address, without what equals the default. */
export function toFragment(inputs: Inputs): string {
  const params = new URLSearchParams();
  for (const key of Object.keys(defaultInputs) as (keyof Inputs)[])
    if (inputs[key] !== defaultInputs[key]) params.set(key, String(inputs[key]));
  return params.toString();
}

export function fromFragment(fragment: string): Inputs {
  const params = new URLSearchParams(fragment.replace(/^#/, ""));
  const result: Record<string, string | number> = { ...defaultInputs };
  for (const [key, value] of params) {
    const known = defaultInputs[key as keyof Inputs];
    if (typeof known === "number") result[key] = Number.isFinite(Number(value)) ? Number(value) : known;
    else if (typeof known === "string") result[key] = value;
  }
  return result as unknown as Inputs;
}
