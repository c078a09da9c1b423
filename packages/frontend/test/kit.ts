import {
  defineEngine,
  type Engine,
  type EngineFunction,
  type ModelCard,
  type TokenizerFile,
} from "@stator/core";

/** GPT-2's byte table: every byte as one printable character. */
export const byteCharacters: readonly string[] = (() => {
  const characters: string[] = [];
  let extra = 0;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    characters.push(String.fromCodePoint(isPrintable ? byte : 256 + extra++));
  }
  return characters;
})();

const template =
  "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '\\n' }}{% endfor %}{% if tools %}{{ tools | length }} tools\n{% endif %}<|assistant|>";

/** A byte-level BPE tokenizer: id = byte, then a few merges, then `<|bos|>` and `<|eos|>`. */
export function byteTokenizer(): TokenizerFile & { readonly bos: number; readonly eos: number } {
  const vocab: Record<string, number> = {};
  for (const [id, character] of byteCharacters.entries()) vocab[character] = id;
  const merges = ["t h", "h e", "th e", "Ġ the", "q u", "i n", "e r", "a n", "l l", "o Ġ"];
  let next = 256;
  for (const merge of merges) vocab[merge.replace(" ", "")] = next++;
  const bos = next++;
  const eos = next;
  const special = (id: number, content: string): object => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  return {
    json: JSON.stringify({
      version: "1.0",
      added_tokens: [special(bos, "<|bos|>"), special(eos, "<|eos|>")],
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab, merges, byte_fallback: false },
    }),
    digest: "test-bytes",
    specialIds: { bos, eos: [eos] },
    chatTemplate: template,
    bos,
    eos,
  };
}

/** A SentencePiece-style tokenizer: `<unk> <s> </s>`, 256 byte tokens, a few pieces. */
export function spaceMarkTokenizer(): TokenizerFile {
  const vocab: Record<string, number> = { "<unk>": 0, "<s>": 1, "</s>": 2 };
  let next = 3;
  for (let byte = 0; byte < 256; byte++)
    vocab[`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`] = next++;
  for (const piece of [
    "\u2581",
    "t",
    "h",
    "e",
    "a",
    "n",
    "th",
    "he",
    "an",
    "the",
    "\u2581the",
    "\u2581\u2581",
  ])
    vocab[piece] = next++;
  const special = (id: number, content: string): object => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  return {
    json: JSON.stringify({
      version: "1.0",
      added_tokens: [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: "\u2581" },
          { type: "Replace", pattern: { String: " " }, content: "\u2581" },
        ],
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "\u2581" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      model: {
        type: "BPE",
        vocab,
        merges: ["t h", "th e", "\u2581 the", "h e", "a n", "\u2581 \u2581"],
        byte_fallback: true,
        unk_token: "<unk>",
        fuse_unk: true,
      },
    }),
    digest: "test-space-mark",
    specialIds: { bos: 1, eos: [2], unknown: 0 },
    chatTemplate: template,
    addBos: true,
  };
}

/** An engine on the byte tokenizer. */
export function byteEngine(
  run: EngineFunction,
  options: { contextTokens?: number; model?: string; card?: Partial<ModelCard> } = {},
): Engine {
  const { model = "bytes", contextTokens = 4096, card = {} } = options;
  return defineEngine({ model, contextTokens, tokenizer: byteTokenizer(), card }, run);
}

/** Says `text`, a byte per step, and ends with the end id. */
export function saying(text: string | Uint8Array): EngineFunction {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return async function* () {
    for (const byte of bytes) yield { ids: [byte] };
    yield { ids: [byteTokenizer().eos] };
  };
}

/** Says the prompt again, an id per step. */
export const echo: EngineFunction = async function* (request) {
  for (const id of request.promptIds) yield { ids: [id] };
};

/** Repeats one id for as long as it may, leaving the loop to others now and then. */
export function repeating(id: number, watch: { yielded?: number; returned?: boolean } = {}): EngineFunction {
  return async function* (request, { signal }) {
    watch.yielded = 0;
    try {
      for (let i = 0; i < request.limits.maxTokens && !signal.aborted; i++) {
        watch.yielded++;
        yield { ids: [id] };
        if (i % 16 === 15) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      watch.returned = true;
    }
  };
}

/** Polls until `holds`, at most `deadlineMs`. */
export async function until(holds: () => boolean, what: string, deadlineMs = 10_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain for: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
