// Makes the model that Stator brings along: a llama of random weights, under 2 MB, that any text tokenizes with.
// Its words are noise; what it is for is exercising a real engine where nothing can be downloaded.
//
//   node tools/make-tiny-model.mjs [--tokenizer spm|bpe] [--architecture llama|qwen2] [--out packages/engines/models/tiny.gguf]
//
// The output is a function of this file alone: the same bytes on every machine.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const shape = {
  width: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  hidden: 128,
  contextTokens: 32768,
  normEpsilon: 1e-5,
};
// Standard deviations. Embeddings of std 1 collapse to one repeated token and would hide defects of the KV cache.
const scale = { embedding: 0.1, queryKey: 3, valueOutput: 2, feedForward: 1.5, head: 2 };
const merges = 280;

const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const corpus = `
A dynamo turns motion into current. The part that turns is called the rotor, and the part that stands still while the rest
turns is called the stator. When people build a machine that has to serve many others at once, the frame is what they trust:
it holds every moving part in its place, it carries the load from one side to the other, and it does not move when something
breaks. A request comes in, it is given a number, it waits for its turn, and then it is worked on by one of several workers.
The first worker reads the whole question and remembers what it has read; the second worker writes the answer, one word after
another, and for each word it looks back at everything that was remembered before. If the second worker falls over in the
middle of a sentence, a third one must be able to go on with the next word as though nothing had happened. What should we do
when there are more questions than hands? We could let them wait, we could say no, or we could bring in more hands. Which of
these is right depends on how long a person is willing to wait and on how much another pair of hands would cost. There was a
time when this was decided by feeling; now it is decided by measuring, and by writing down what was measured. Please tell me
about the weather in the city by the river, about the history of the old bridge, and about the people who live on the other
side. You are a helpful assistant. You answer with short and clear sentences. Hello, how are you today? I am well, thank you.
The quick brown fox jumps over the lazy dog, and the dog does not seem to mind. In the year 1984 there were 365 days.
`;

/** Byte pair encoding learnt on the corpus: single symbols, then pairs by falling count (ties by first occurrence). */
function learn(words) {
  let pieces = [...words].map(([word, count]) => ({ symbols: [...word], count }));
  const alphabet = [...new Set(pieces.flatMap(({ symbols }) => symbols))].sort();
  const learnt = [];
  while (learnt.length < merges) {
    const counts = new Map();
    for (const { symbols, count } of pieces) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        const key = `${symbols[i]} ${symbols[i + 1]}`;
        counts.set(key, (counts.get(key) ?? 0) + count);
      }
    }
    let best;
    for (const [key, count] of counts) if (best === undefined || count > counts.get(best)) best = key;
    if (best === undefined || counts.get(best) < 2) break;
    const [left, right] = best.split(" ");
    learnt.push([left, right]);
    pieces = pieces.map(({ symbols, count }) => {
      const merged = [];
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right) {
          merged.push(left + right);
          i++;
        } else merged.push(symbols[i]);
      }
      return { symbols: merged, count };
    });
  }
  return { alphabet, learnt };
}

function countWords(pattern, space) {
  const words = new Map();
  for (const [word] of corpus.replaceAll("\n", " ").matchAll(pattern)) {
    const key = word.replaceAll(" ", space);
    words.set(key, (words.get(key) ?? 0) + 1);
  }
  return words;
}

const type = { normal: 1, unknown: 2, control: 3, byte: 6 };
const turnTokens = ["<|im_start|>", "<|im_end|>"];

/** SentencePiece with byte fallback: every text tokenizes. */
function sentencePieceVocabulary() {
  const { alphabet, learnt } = learn(countWords(/ ?[^ ]+/gu, "\u2581"));
  const rows = [
    ["<unk>", type.unknown, 0],
    ["<s>", type.control, 0],
    ["</s>", type.control, 0],
  ];
  for (let byte = 0; byte < 256; byte++)
    rows.push([`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, type.byte, 0]);
  const seen = new Set();
  for (const [left, right] of learnt) {
    if (seen.has(left + right)) continue;
    seen.add(left + right);
    rows.push([left + right, type.normal, -seen.size]);
  }
  alphabet.forEach((symbol, index) => rows.push([symbol, type.normal, -(1000 + index)]));
  for (const token of turnTokens) rows.push([token, type.control, 0]);
  return {
    tokens: rows.map(([token]) => token),
    types: rows.map(([, kind]) => kind),
    scores: rows.map(([, , score]) => score),
    entries: (kv) => {
      kv.string("tokenizer.ggml.model", "llama");
      kv.string("tokenizer.ggml.pre", "default");
    },
    ids: { bos: 1, eos: 2, unknown: 0 },
  };
}

/** GPT-2's byte-level BPE: 256 mapped bytes and the merges. */
function bytePairVocabulary(pre) {
  const { learnt } = learn(
    countWords(/'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu, "\u0120"),
  );
  const prints = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let extra = 0;
  const tokens = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(prints(byte) ? byte : 256 + extra++),
  );
  for (const [left, right] of learnt) if (!tokens.includes(left + right)) tokens.push(left + right);
  const types = tokens.map(() => type.normal);
  for (const token of ["<|endoftext|>", ...turnTokens]) {
    tokens.push(token);
    types.push(type.control);
  }
  const end = tokens.indexOf("<|endoftext|>");
  return {
    tokens,
    types,
    entries: (kv) => {
      kv.string("tokenizer.ggml.model", "gpt2");
      kv.string("tokenizer.ggml.pre", pre);
      kv.strings(
        "tokenizer.ggml.merges",
        learnt.map((pair) => pair.join(" ")),
      );
    },
    ids: { bos: end, eos: end },
  };
}

/** A growing little-endian buffer. */
function createWriter() {
  const parts = [];
  let length = 0;
  const fixed = (bytes, write) => {
    const buffer = Buffer.alloc(bytes);
    write(buffer);
    append(buffer);
  };
  const append = (buffer) => {
    parts.push(buffer);
    length += buffer.length;
  };
  const writer = {
    append,
    u32: (value) => fixed(4, (b) => b.writeUInt32LE(value)),
    i32: (value) => fixed(4, (b) => b.writeInt32LE(value)),
    u64: (value) => fixed(8, (b) => b.writeBigUInt64LE(BigInt(value))),
    f32: (value) => fixed(4, (b) => b.writeFloatLE(value)),
    string(value) {
      const bytes = Buffer.from(value);
      writer.u64(bytes.length);
      append(bytes);
    },
    pad: (alignment) => append(Buffer.alloc((alignment - (length % alignment)) % alignment)),
    length: () => length,
    bytes: () => Buffer.concat(parts),
  };
  return writer;
}

/** The key-value section of a GGUF file; type codes are those of the GGUF specification. */
function createEntries() {
  const writer = createWriter();
  let count = 0;
  const entry = (key, code, write) => {
    writer.string(key);
    writer.u32(code);
    write();
    count++;
  };
  const array = (key, code, values, write) =>
    entry(key, 9, () => {
      writer.u32(code);
      writer.u64(values.length);
      values.forEach(write);
    });
  return {
    u32: (key, value) => entry(key, 4, () => writer.u32(value)),
    f32: (key, value) => entry(key, 6, () => writer.f32(value)),
    bool: (key, value) => entry(key, 7, () => writer.append(Buffer.from([value ? 1 : 0]))),
    string: (key, value) => entry(key, 8, () => writer.string(value)),
    strings: (key, values) => array(key, 8, values, writer.string),
    integers: (key, values) => array(key, 5, values, writer.i32),
    floats: (key, values) => array(key, 6, values, writer.f32),
    count: () => count,
    bytes: writer.bytes,
  };
}

/** Normal numbers by Box and Muller over mulberry32. */
export function createNormal(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
}

/**
 * The bytes of a tiny GGUF.
 *
 * @param {{ tokenizer?: "spm" | "bpe", pre?: string, seed?: number, name?: string, architecture?: "llama" | "qwen2",
 *   shape?: Partial<typeof shape>, extra?: (entries: object) => void }} options
 *   `pre` names how the BPE cuts text into words; `seed` draws other weights; `name`, `architecture` (qwen2: with biases, and
 *   another rotation) and `shape` make another model; `extra` adds metadata entries.
 */
export function makeTinyModel({
  tokenizer = "spm",
  pre = "gpt-2",
  seed = 1,
  name: modelName = `stator-tiny-${tokenizer}`,
  architecture = "llama",
  shape: changes = {},
  extra = () => {},
} = {}) {
  const dimensions = { ...shape, ...changes };
  const vocabulary = tokenizer === "bpe" ? bytePairVocabulary(pre) : sentencePieceVocabulary();
  const { width, layers, heads, kvHeads, hidden } = dimensions;
  const headWidth = width / heads;
  const kvWidth = headWidth * kvHeads;

  const entries = createEntries();
  entries.string("general.architecture", architecture);
  entries.string("general.name", modelName);
  entries.string("general.license", "apache-2.0");
  entries.u32(`${architecture}.context_length`, dimensions.contextTokens);
  entries.u32(`${architecture}.embedding_length`, width);
  entries.u32(`${architecture}.block_count`, layers);
  entries.u32(`${architecture}.feed_forward_length`, hidden);
  entries.u32(`${architecture}.attention.head_count`, heads);
  entries.u32(`${architecture}.attention.head_count_kv`, kvHeads);
  entries.f32(`${architecture}.attention.layer_norm_rms_epsilon`, dimensions.normEpsilon);
  entries.u32(`${architecture}.rope.dimension_count`, headWidth);
  entries.u32(`${architecture}.vocab_size`, vocabulary.tokens.length);
  vocabulary.entries(entries);
  entries.strings("tokenizer.ggml.tokens", vocabulary.tokens);
  entries.integers("tokenizer.ggml.token_type", vocabulary.types);
  if (vocabulary.scores !== undefined) entries.floats("tokenizer.ggml.scores", vocabulary.scores);
  entries.u32("tokenizer.ggml.bos_token_id", vocabulary.ids.bos);
  entries.u32("tokenizer.ggml.eos_token_id", vocabulary.ids.eos);
  if (vocabulary.ids.unknown !== undefined)
    entries.u32("tokenizer.ggml.unknown_token_id", vocabulary.ids.unknown);
  entries.bool("tokenizer.ggml.add_bos_token", true);
  entries.bool("tokenizer.ggml.add_space_prefix", false);
  entries.string("tokenizer.chat_template", chatTemplate);
  extra(entries);

  const normal = createNormal(seed);
  const tensors = [];
  const tensor = (name, dimensions, deviation, kind = "weight") => {
    const values = new Float32Array(dimensions.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) values[i] = deviation === undefined ? 1 : normal() * deviation;
    tensors.push({ name: `${name}.${kind}`, dimensions, bytes: Buffer.from(values.buffer) });
  };
  const root = Math.sqrt(width);
  tensor("token_embd", [width, vocabulary.tokens.length], scale.embedding);
  for (let layer = 0; layer < layers; layer++) {
    const name = (part) => `blk.${layer}.${part}`;
    tensor(name("attn_norm"), [width]);
    tensor(name("attn_q"), [width, width], scale.queryKey / root);
    tensor(name("attn_k"), [width, kvWidth], scale.queryKey / root);
    tensor(name("attn_v"), [width, kvWidth], scale.valueOutput / root);
    if (architecture === "qwen2") {
      for (const [part, size] of [
        ["attn_q", width],
        ["attn_k", kvWidth],
        ["attn_v", kvWidth],
      ])
        tensor(name(part), [size], scale.embedding, "bias");
    }
    tensor(name("attn_output"), [width, width], scale.valueOutput / root);
    tensor(name("ffn_norm"), [width]);
    tensor(name("ffn_gate"), [width, hidden], scale.feedForward / root);
    tensor(name("ffn_up"), [width, hidden], scale.feedForward / root);
    tensor(name("ffn_down"), [hidden, width], scale.feedForward / Math.sqrt(hidden));
  }
  tensor("output_norm", [width]);
  tensor("output", [width, vocabulary.tokens.length], scale.head / root);

  const alignment = 32;
  const writer = createWriter();
  writer.append(Buffer.from("GGUF"));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(entries.count());
  writer.append(entries.bytes());
  let offset = 0;
  for (const { name, dimensions, bytes } of tensors) {
    writer.string(name);
    writer.u32(dimensions.length);
    dimensions.forEach(writer.u64);
    writer.u32(0);
    writer.u64(offset);
    offset += Math.ceil(bytes.length / alignment) * alignment;
  }
  for (const { bytes } of tensors) {
    writer.pad(alignment);
    writer.append(bytes);
  }
  writer.pad(alignment);
  return writer.bytes();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : process.argv[at + 1];
  };
  const out = option("out", fileURLToPath(new URL("../packages/engines/models/tiny.gguf", import.meta.url)));
  const bytes = makeTinyModel({
    tokenizer: option("tokenizer", "spm"),
    architecture: option("architecture", "llama"),
  });
  writeFileSync(out, bytes);
  console.log(`${out}: ${bytes.length} bytes`);
}
