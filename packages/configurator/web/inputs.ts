/** Everything the reader can set; all of it travels in the address. */
export interface Inputs {
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
  /** A pasted config.json, which replaces the model's name. */
  readonly config: string;
  /** A pasted YAML record, which replaces the system's name. */
  readonly record: string;
}

export const defaultInputs: Inputs = {
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
