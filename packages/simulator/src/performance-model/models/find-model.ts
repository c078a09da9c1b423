import { builtInModelConfigs } from "./built-in-models.ts";
import { modelFromConfig } from "./hf-config.ts";
import type { ModelSpec } from "./model-spec.ts";
import { simulatorError } from "../../simulator-error.ts";

const cache = new Map<string, ModelSpec>();

/** Hugging Face ids with built-in shapes. */
export function modelNames(): readonly string[] {
  return Object.keys(builtInModelConfigs);
}

/**
 * The built-in shapes of a checkpoint by its Hugging Face id or short name. Organisation, case and the suffixes of
 * re-quantised or instruction-tuned copies (`-Instruct`, `-FP8`, `-NVFP4`, `-0528` …) do not matter: shapes are the same.
 *
 * @throws SimulatorError `SIMULATOR_MODEL_UNKNOWN`, naming the nearest known ones.
 */
export function findModel(name: string): ModelSpec {
  const wanted = canonical(name);
  const cached = cache.get(name);
  if (cached) return cached;
  const known = knownName(wanted);
  const config = known === undefined ? undefined : builtInModelConfigs[known];
  if (config === undefined) {
    const near = nearestNames(wanted);
    throw simulatorError(
      "SIMULATOR_MODEL_UNKNOWN",
      `No built-in shapes for model "${name}". Nearest: ${near.join(", ")}. For any other model pass its config.json.`,
      { model: name, nearest: near },
    );
  }
  const model = modelFromConfig(config, { name });
  cache.set(name, model);
  return model;
}

// Short names (`QWEN3_235B`) may leave out what follows, where only one model begins so.
function knownName(wanted: string): string | undefined {
  const target = sameShapes[wanted] ?? wanted;
  const names = modelNames();
  const exact = names.find((id) => canonical(id) === target);
  if (exact !== undefined) return exact;
  const longer = names.filter((id) => canonical(id).startsWith(`${target}-`));
  return longer.length === 1 ? longer[0] : undefined;
}

const suffix =
  /[-_.](instruct|chat|base|it|hf|thinking|terminus|fp8|nvfp4|fp4|int4|awq|gptq|w4a16|w8a8|dynamic|quantized|original|mxfp4|bf16|preview|exp|kv|block|\d{4}|v[12])$/;

/** Checkpoints trained from another's shapes under a name of their own. */
const sameShapes: Readonly<Record<string, string>> = {
  "deepseek-r1-distill-llama-70b": "llama-3.3-70b",
  "deepseek-r1-distill-llama-8b": "llama-3.1-8b",
  "deepseek-r1-distill-qwen-32b": "qwen2.5-32b",
  "llama-3.1-nemotron-70b": "llama-3.1-70b",
  "qwq-32b": "qwen2.5-32b",
};

function canonical(name: string): string {
  let short = (name.split("/").at(-1) ?? name)
    .toLowerCase()
    .replaceAll("_", "-")
    .replace(/^meta-/, "")
    .replace(/^nvidia-/, "")
    .replace(/^(moe-)?(llama|mixtral)-?(?=\d)/, "$2-")
    .replace(/(?<=^llama-\d)-(?=\d-)/, ".");
  while (suffix.test(short)) short = short.replace(suffix, "");
  return short
    .replace(/-v0\.\d(?=-|$)/, "")
    .replace(/-?instruct/, "")
    .replace(/-128k/, "");
}

function nearestNames(wanted: string): string[] {
  const grams = bigrams(wanted);
  const score = (id: string): number => {
    const other = bigrams(canonical(id));
    let shared = 0;
    for (const gram of grams) if (other.has(gram)) shared += 1;
    return (2 * shared) / (grams.size + other.size || 1);
  };
  return [...modelNames()].sort((a, b) => score(b) - score(a)).slice(0, 3);
}

function bigrams(text: string): Set<string> {
  const grams = new Set<string>();
  for (let at = 0; at + 1 < text.length; at++) grams.add(text.slice(at, at + 2));
  return grams;
}
