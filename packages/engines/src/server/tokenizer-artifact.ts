import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { ModelCard, SpecialIds } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { convertTokenizer } from "../llama/gguf/convert-tokenizer.ts";
import { booleanOf, listOf, numberOf, readGguf, stringOf } from "../llama/gguf/read-gguf.ts";

/** A tokenizer with what the card says of it. */
export interface TokenizerArtifact {
  readonly bytes: Uint8Array;
  readonly digest: string;
  /** One more than its greatest id. */
  readonly vocabulary: number;
  readonly card: Pick<ModelCard, "specialIds"> & Pick<Partial<ModelCard>, "chatTemplate" | "addBos">;
}

/**
 * Reads a Hugging Face `tokenizer.json`, with `tokenizer_config.json`, `generation_config.json` and `chat_template.jinja`
 * beside it where they are, or the tokenizer inside of a GGUF file.
 *
 * @throws EnginesError `ENGINES_OPTION_INVALID`, `ENGINES_MODEL_INVALID`
 */
export async function readTokenizerArtifact(file: string): Promise<TokenizerArtifact> {
  return file.endsWith(".gguf") ? ofGguf(file) : ofHuggingFace(file);
}

async function ofGguf(file: string): Promise<TokenizerArtifact> {
  const header = await readGguf(file);
  const { json, digest } = convertTokenizer(header);
  const chatTemplate = stringOf(header, "tokenizer.chat_template");
  const eos = ["eos", "eot"].flatMap((name) => numberOf(header, `tokenizer.ggml.${name}_token_id`) ?? []);
  const bos = numberOf(header, "tokenizer.ggml.bos_token_id");
  return {
    bytes: new TextEncoder().encode(json),
    digest,
    vocabulary: (listOf(header, "tokenizer.ggml.tokens") ?? []).length,
    card: {
      specialIds: { eos: [...new Set(eos)], ...(bos === undefined ? {} : { bos }) },
      addBos: booleanOf(header, "tokenizer.ggml.add_bos_token") ?? false,
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
    },
  };
}

interface TokenizerConfig {
  readonly chat_template?: string | readonly { readonly name: string; readonly template: string }[];
  readonly add_bos_token?: boolean;
  readonly bos_token?: string | { readonly content: string } | null;
  readonly eos_token?: string | { readonly content: string } | null;
}

interface TokenizerFile {
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
  /** By token, or for Unigram models a list of rows. */
  readonly model?: { readonly vocab?: Readonly<Record<string, number>> | readonly unknown[] };
}

function vocabularyOf({ added_tokens: added = [], model }: TokenizerFile): number {
  const vocab = model?.vocab ?? {};
  let count = Array.isArray(vocab) ? vocab.length : 0;
  if (!Array.isArray(vocab))
    for (const id of Object.values(vocab as Readonly<Record<string, number>>))
      count = Math.max(count, id + 1);
  for (const { id } of added) count = Math.max(count, id + 1);
  return count;
}

async function ofHuggingFace(file: string): Promise<TokenizerArtifact> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new EnginesError({
      code: "ENGINES_OPTION_INVALID",
      kind: "invalid",
      message: `tokenizerPath: cannot read ${file}: ${String(cause)}`,
      cause,
    });
  });
  const beside = async (name: string): Promise<string | undefined> =>
    readFile(path.join(path.dirname(file), name), "utf8").catch(() => undefined);
  const config = parsed<TokenizerConfig>(await beside("tokenizer_config.json"));
  const generation = parsed<{ eos_token_id?: number | readonly number[] }>(
    await beside("generation_config.json"),
  );
  const tokenizer = parsed<TokenizerFile>(new TextDecoder().decode(bytes));
  const idOf = (token: TokenizerConfig["bos_token"]): number | undefined => {
    const text = typeof token === "string" ? token : token?.content;
    return tokenizer.added_tokens?.find(({ content }) => content === text)?.id;
  };
  const eos = new Set([generation.eos_token_id ?? []].flat());
  const own = idOf(config.eos_token);
  if (own !== undefined) eos.add(own);
  const bos = idOf(config.bos_token);
  const specialIds: SpecialIds = { eos: [...eos], ...(bos === undefined ? {} : { bos }) };
  const template =
    (await beside("chat_template.jinja")) ??
    (typeof config.chat_template === "string"
      ? config.chat_template
      : config.chat_template?.find(({ name }) => name === "default")?.template);
  return {
    bytes,
    digest: createHash("sha256").update(bytes).digest("hex"),
    vocabulary: vocabularyOf(tokenizer),
    card: {
      specialIds,
      addBos: config.add_bos_token ?? false,
      ...(template === undefined ? {} : { chatTemplate: template }),
    },
  };
}

function parsed<T extends object>(text: string | undefined): Partial<T> {
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as Partial<T>;
  } catch {
    return {};
  }
}
