import { simulatorError } from "../../../simulator-error.ts";

/** A Hugging Face `config.json`, parsed. Only the fields that this folder names are read. */
export type HfConfig = Readonly<Record<string, unknown>>;

/** Reads numbers of a config by the names that model families give them. */
export interface Fields {
  readonly text: HfConfig;
  /** The first of these that is a number; throws, naming them, when none is. */
  readonly need: (...keys: string[]) => number;
  /** The first of these that is a number, or the fallback. */
  readonly get: (fallback: number, ...keys: string[]) => number;
}

/** Reader of one model's text config. */
export function fieldsOf(text: HfConfig, name: string): Fields {
  const first = (keys: readonly string[]): number | undefined =>
    keys.map((key) => number(text[key])).find((value) => value !== undefined);
  return {
    text,
    get: (fallback, ...keys) => first(keys) ?? fallback,
    need: (...keys) => {
      const value = first(keys);
      if (value !== undefined) return value;
      throw simulatorError(
        "SIMULATOR_MODEL_UNSUPPORTED",
        `The config of ${name} has no ${keys.join(" or ")}; pass the config.json of a decoder-only text model`,
        { model: name, fields: keys },
      );
    },
  };
}

export function record(value: unknown): HfConfig | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as HfConfig)
    : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function string(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The element of a per-layer list, or undefined where the config has no such list. */
export function perLayer(text: HfConfig, key: string, layer: number): unknown {
  const list = text[key];
  return Array.isArray(list) ? list[layer] : undefined;
}
