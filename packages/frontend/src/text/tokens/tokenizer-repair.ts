type Json = Record<string, unknown>;

const spaceMark = "\u2581";
/** GPT-2's splitting, as the `tokenizers` library has it built into its ByteLevel pre-tokenizer. */
const gpt2Pattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/**
 * A `tokenizer.json` in which three things are said explicitly that `@huggingface/tokenizers` 0.2.0 otherwise does
 * differently from the reference implementations (Rust tokenizers, llama.cpp). The input is not changed.
 *
 * 1. ByteLevel's built-in pattern there uses JavaScript's `\s`, which counts U+FEFF and misses U+0085.
 * 2. Metaspace with `split` (the default) cuts before every space mark; there it cuts nowhere.
 * 3. SentencePiece models come without a pre-tokenizer, so a whole prompt is one word: slow and never cached. Where no
 *    token has a space mark behind another character, no merge can cross such a boundary and cutting there is exact.
 */
export function repairTokenizerJson(json: Json): Json {
  const model = json["model"] as Json | undefined;
  const preTokenizer = json["pre_tokenizer"] as Json | null | undefined;
  let repaired: unknown = preTokenizer === null || preTokenizer === undefined ? null : repair(preTokenizer);
  if (model?.["byte_fallback"] === true && !hasInnerSpaceMark(model["vocab"])) {
    const words = isolated(`${spaceMark}+[^${spaceMark}]*|[^${spaceMark}]+`);
    repaired = repaired === null ? words : { type: "Sequence", pretokenizers: [repaired, words] };
  }
  return {
    ...json,
    added_tokens: json["added_tokens"] ?? [],
    normalizer: json["normalizer"] ?? null,
    post_processor: json["post_processor"] ?? null,
    decoder: json["decoder"] ?? null,
    pre_tokenizer: repaired,
  };
}

function repair(part: Json): Json {
  if (part["type"] === "Sequence") {
    return { ...part, pretokenizers: (part["pretokenizers"] as Json[]).map(repair) };
  }
  if (part["type"] === "ByteLevel" && part["use_regex"] !== false && part["add_prefix_space"] !== true) {
    return { type: "Sequence", pretokenizers: [isolated(gpt2Pattern), { ...part, use_regex: false }] };
  }
  if (part["type"] === "Metaspace" && part["split"] !== false) {
    return {
      type: "Sequence",
      pretokenizers: [part, isolated(`${spaceMark}[^${spaceMark}]*|[^${spaceMark}]+`)],
    };
  }
  return part;
}

function isolated(pattern: string): Json {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

function hasInnerSpaceMark(vocab: unknown): boolean {
  if (typeof vocab !== "object" || vocab === null) return true;
  for (const token of Object.keys(vocab)) {
    const first = token.search(/[^\u2581]/u);
    if (first >= 0 && token.includes(spaceMark, first)) return true;
  }
  return false;
}
