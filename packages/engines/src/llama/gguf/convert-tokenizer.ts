import { createHash } from "node:crypto";

import { EnginesError } from "../../errors/engines-error.ts";
import { preTokenizers } from "./pre-tokenizers.ts";
import { booleanOf, listOf, numberOf, stringOf, type GgufHeader } from "./read-gguf.ts";

/** `tokenizer.ggml.token_type` values (ggml's gguf specification). */
const tokenType: Readonly<
  Record<"normal" | "unknown" | "control" | "userDefined" | "unused" | "byte", number>
> = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
};

const spaceSymbol = "\u2581";

export interface ConvertedTokenizer {
  /** A Hugging Face `tokenizer.json`. */
  readonly json: string;
  /** SHA-256 hex of `json` as UTF-8. */
  readonly digest: string;
}

/**
 * The tokenizer of a GGUF as a Hugging Face `tokenizer.json` that gives the same ids as llama.cpp does when it parses
 * special tokens. SentencePiece (`llama`) and byte-level BPE (`gpt2`) vocabularies.
 *
 * @throws EnginesError `ENGINES_MODEL_INVALID` for other tokenizers: give a `tokenizerPath` then.
 */
export function convertTokenizer(header: GgufHeader): ConvertedTokenizer {
  const kind = stringOf(header, "tokenizer.ggml.model");
  const tokens = (listOf(header, "tokenizer.ggml.tokens") ?? []) as readonly string[];
  const types = (listOf(header, "tokenizer.ggml.token_type") ?? []) as readonly number[];
  if (tokens.length === 0) throw unconvertible("it has no vocabulary");
  const common = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens, types),
    post_processor: null,
  };
  let model: object;
  if (kind === "llama") model = sentencePiece(header, tokens);
  else if (kind === "gpt2") model = bytePair(header, tokens);
  else throw unconvertible(`its tokenizer is "${kind ?? "none"}"; "llama" and "gpt2" can be converted`);
  const json = JSON.stringify({ ...common, ...model });
  return { json, digest: createHash("sha256").update(json).digest("hex") };
}

function unconvertible(why: string): EnginesError {
  return new EnginesError({
    code: "ENGINES_MODEL_INVALID",
    kind: "invalid",
    message: `The model's tokenizer cannot be converted: ${why}. Give its tokenizer.json as tokenizerPath.`,
  });
}

function addedTokens(tokens: readonly string[], types: readonly number[]): object[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== tokenType.control && type !== tokenType.userDefined && type !== tokenType.unknown) return [];
    const special = type !== tokenType.userDefined;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

/** llama.cpp merges the pair whose piece has the highest score; BPE the pair of the lowest rank: order merges by score. */
function sentencePiece(header: GgufHeader, tokens: readonly string[]): object {
  const scores = (listOf(header, "tokenizer.ggml.scores") ?? []) as readonly number[];
  const vocab = Object.create(null) as Record<string, number>;
  tokens.forEach((token, id) => {
    vocab[token] ??= id;
  });
  const merges: { readonly pair: [string, string]; readonly score: number; readonly id: number }[] = [];
  tokens.forEach((token, id) => {
    const symbols = [...token];
    for (let i = 1; i < symbols.length; i++) {
      const pair: [string, string] = [symbols.slice(0, i).join(""), symbols.slice(i).join("")];
      if (vocab[pair[0]] !== undefined && vocab[pair[1]] !== undefined)
        merges.push({ pair, score: scores[id] ?? 0, id });
    }
  });
  merges.sort((a, b) => b.score - a.score || a.id - b.id);

  const addsSpace = booleanOf(header, "tokenizer.ggml.add_space_prefix") ?? true;
  const replace = { type: "Replace", pattern: { String: " " }, content: spaceSymbol };
  return {
    normalizer: {
      type: "Sequence",
      normalizers: addsSpace ? [{ type: "Prepend", prepend: spaceSymbol }, replace] : [replace],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: spaceSymbol }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(addsSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: tokens[numberOf(header, "tokenizer.ggml.unknown_token_id") ?? 0] ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges: merges.map(({ pair }) => pair),
    },
  };
}

function bytePair(header: GgufHeader, tokens: readonly string[]): object {
  const name = stringOf(header, "tokenizer.ggml.pre") ?? "gpt-2";
  const pre = preTokenizers.get(name);
  if (pre === undefined) {
    throw unconvertible(`it cuts text as "${name}"; known are ${[...preTokenizers.keys()].join(", ")}`);
  }
  const vocab = Object.create(null) as Record<string, number>;
  tokens.forEach((token, id) => {
    vocab[token] ??= id;
  });
  const merges = ((listOf(header, "tokenizer.ggml.merges") ?? []) as readonly string[]).map((merge) => {
    // A symbol may itself be a space in odd vocabularies: cut at the first space that is not at the start.
    const at = merge.indexOf(" ", 1);
    return [merge.slice(0, at), merge.slice(at + 1)];
  });
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        ...(pre.splitsDigits ? [{ type: "Digits", individual_digits: true }] : []),
        { type: "Split", pattern: { Regex: pre.pattern }, behavior: "Isolated", invert: false },
        byteLevel,
      ],
    },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre.ignoresMerges,
      vocab,
      merges,
    },
  };
}
