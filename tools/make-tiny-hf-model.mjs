// Makes a llama of random weights in the form that vLLM and SGLang load: config.json, model.safetensors, tokenizer.json.
// The vocabulary and the chat template are those of the bundled model, so texts of both tokenize alike.
//
//   node tools/make-tiny-hf-model.mjs --out /tmp/tiny-hf        (after `npm run build`)
//
// The weights are a function of this file alone; heads are 64 wide, the least that every attention kernel takes.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createNormal } from "./make-tiny-model.mjs";
import { readTokenizerArtifact } from "../packages/engines/dist/server/tokenizer-artifact.js";

const shape = {
  width: 128,
  layers: 2,
  heads: 2,
  kvHeads: 2,
  hidden: 256,
  contextTokens: 4096,
};
const scale = { embedding: 0.1, queryKey: 3, valueOutput: 2, feedForward: 1.5, head: 2 };

/** Bytes of a safetensors file: a length, a JSON header, the tensors. */
function safetensors(tensors) {
  const header = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, dimensions, bytes } of tensors) {
    header[name] = { dtype: "F32", shape: dimensions, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...tensors.map(({ bytes }) => bytes)]);
}

/** Writes the folder of a tiny model. */
export async function makeTinyHfModel(folder, { seed = 1 } = {}) {
  const tokenizer = await readTokenizerArtifact(
    fileURLToPath(new URL("../packages/engines/models/tiny.gguf", import.meta.url)),
  );
  const parsed = JSON.parse(new TextDecoder().decode(tokenizer.bytes));
  const ids = Object.values(parsed.model.vocab).concat(parsed.added_tokens.map(({ id }) => id));
  const vocabulary = Math.max(...ids) + 1;
  const { width, layers, heads, kvHeads, hidden, contextTokens } = shape;
  const kvWidth = (width / heads) * kvHeads;

  const normal = createNormal(seed);
  const tensors = [];
  const tensor = (name, dimensions, deviation) => {
    const values = new Float32Array(dimensions.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) values[i] = deviation === undefined ? 1 : normal() * deviation;
    tensors.push({ name: `${name}.weight`, dimensions, bytes: Buffer.from(values.buffer) });
  };
  const root = Math.sqrt(width);
  tensor("model.embed_tokens", [vocabulary, width], scale.embedding);
  for (let layer = 0; layer < layers; layer++) {
    const name = (part) => `model.layers.${layer}.${part}`;
    tensor(name("input_layernorm"), [width]);
    tensor(name("self_attn.q_proj"), [width, width], scale.queryKey / root);
    tensor(name("self_attn.k_proj"), [kvWidth, width], scale.queryKey / root);
    tensor(name("self_attn.v_proj"), [kvWidth, width], scale.valueOutput / root);
    tensor(name("self_attn.o_proj"), [width, width], scale.valueOutput / root);
    tensor(name("post_attention_layernorm"), [width]);
    tensor(name("mlp.gate_proj"), [hidden, width], scale.feedForward / root);
    tensor(name("mlp.up_proj"), [hidden, width], scale.feedForward / root);
    tensor(name("mlp.down_proj"), [width, hidden], scale.feedForward / Math.sqrt(hidden));
  }
  tensor("model.norm", [width]);
  tensor("lm_head", [vocabulary, width], scale.head / root);

  const { specialIds, chatTemplate } = tokenizer.card;
  const [eos] = specialIds.eos;
  const textOf = (id) => parsed.added_tokens.find((token) => token.id === id)?.content;
  const write = (name, value) => writeFileSync(join(folder, name), JSON.stringify(value, undefined, 2));
  mkdirSync(folder, { recursive: true });
  write("config.json", {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    vocab_size: vocabulary,
    max_position_embeddings: contextTokens,
    rms_norm_eps: 1e-5,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: specialIds.bos,
    eos_token_id: eos,
    dtype: "float32",
    torch_dtype: "float32",
  });
  write("tokenizer_config.json", {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: textOf(specialIds.bos),
    eos_token: textOf(eos),
    chat_template: chatTemplate,
    model_max_length: contextTokens,
  });
  writeFileSync(join(folder, "tokenizer.json"), tokenizer.bytes);
  writeFileSync(join(folder, "model.safetensors"), safetensors(tensors));
  return { folder, vocabulary };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--out");
  const folder = at < 0 ? undefined : process.argv[at + 1];
  if (folder === undefined) throw new Error("Say where: --out <folder>");
  const { vocabulary } = await makeTinyHfModel(folder);
  console.log(`${folder}: a vocabulary of ${vocabulary}, ${shape.contextTokens} tokens of context`);
}
