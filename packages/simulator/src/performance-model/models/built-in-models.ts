import { deepseekAndKimi } from "./built-in/deepseek-and-kimi.ts";
import { glm } from "./built-in/glm.ts";
import { llamas } from "./built-in/llama.ts";
import { nemotron } from "./built-in/nemotron.ts";
import { others } from "./built-in/others.ts";
import { qwen } from "./built-in/qwen.ts";
import type { HfConfig } from "./config/fields.ts";

/**
 * Shapes of well-known checkpoints: the fields of each published `config.json` that the performance model reads.
 * Keys are Hugging Face ids. A model that is not here is given as its own `config.json`.
 */
export const builtInModelConfigs: Readonly<Record<string, HfConfig>> = {
  ...llamas,
  ...qwen,
  ...deepseekAndKimi,
  ...glm,
  ...nemotron,
  ...others,
};
