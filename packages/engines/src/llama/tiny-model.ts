import { fileURLToPath } from "node:url";

/**
 * Path of the bundled model: a llama of random weights (0.6 MB, 32,768 tokens of context). It exercises everything that
 * an engine does; its words are noise.
 */
export function tinyModelPath(): string {
  return fileURLToPath(new URL("../../models/tiny.gguf", import.meta.url));
}
