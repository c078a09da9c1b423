import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";

/**
 * Rows of a model's embedding table by its `config.json`: in the folder that a server names, or in the hub cache where it
 * loaded a name from. Undefined where the server runs on another machine, or its files are kept elsewhere.
 */
export async function vocabularyOfModel(
  model: string,
  hub: string = hubFolder(),
): Promise<number | undefined> {
  for (const folder of [model, ...(await snapshotsOf(model, hub))]) {
    const text = await readFile(path.join(folder, "config.json"), "utf8").catch(() => undefined);
    const size = text === undefined ? undefined : vocabularyOfConfig(text);
    if (size !== undefined) return size;
  }
  return undefined;
}

function vocabularyOfConfig(text: string): number | undefined {
  try {
    const config = JSON.parse(text) as {
      vocab_size?: unknown;
      text_config?: { vocab_size?: unknown };
      llm_config?: { vocab_size?: unknown };
    };
    const sizes = [config.vocab_size, config.text_config?.vocab_size, config.llm_config?.vocab_size];
    return sizes.find((size): size is number => typeof size === "number" && size > 0);
  } catch {
    return undefined;
  }
}

function hubFolder(): string {
  const { HF_HUB_CACHE: hub, HF_HOME: home } = process.env;
  return hub ?? path.join(home ?? path.join(homedir(), ".cache", "huggingface"), "hub");
}

/** A name's snapshots; those of one model do not differ in vocabulary. */
async function snapshotsOf(model: string, hub: string): Promise<string[]> {
  if (!/^[\w.-]+\/[\w.-]+$/.test(model)) return [];
  const folder = path.join(hub, `models--${model.replace("/", "--")}`, "snapshots");
  const names = await readdir(folder).catch(() => []);
  return names.map((name) => path.join(folder, name));
}
