import { FrontendError } from "../../errors.ts";

/** What the detokenizer needs of a tokenizer: the bytes that each id stands for. */
export interface Vocabulary {
  /** Number of ids; ids from here on have no text. */
  readonly size: number;
  /** The longest text of one token in bytes: bounds how few tokens a text can become. */
  readonly longestTokenBytes: number;
  /** Bytes of one id. Empty for control tokens and for ids that do not exist. */
  bytes(id: number): Uint8Array;
  /** The whole text of an id when its bytes are complete UTF-8 by themselves; undefined when they are part of more. */
  text(id: number): string | undefined;
  /** The id's own name (`<s>`, `Ġthe`), for log probabilities of control tokens. */
  name(id: number): string;
}

/** The parts of a Hugging Face `tokenizer.json` that decide how ids become text. */
export interface TokenizerJson {
  readonly model: { readonly type?: string; readonly vocab?: unknown; readonly byte_fallback?: boolean };
  readonly decoder?: DecoderJson;
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
}

interface DecoderJson {
  readonly type?: string;
  readonly decoders?: readonly DecoderJson[];
  readonly replacement?: string;
  readonly pattern?: { readonly String?: string };
  readonly content?: string;
}

const empty = new Uint8Array(0);
const encoder = new TextEncoder();
const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * Reads the byte meaning of every id out of a `tokenizer.json`: byte-level BPE (each character of a token is one byte, GPT-2's
 * table) and SentencePiece style (a space mark, `<0xNN>` byte tokens). Bytes and texts are made on first use.
 *
 * @throws FrontendError `FRONTEND_TOKENIZER_UNSUPPORTED` for a decoder of another kind.
 */
export function createVocabulary(json: TokenizerJson): Vocabulary {
  const kind = decoderKind(json.decoder ?? undefined);
  const tokens = tokenNames(json.model.vocab);
  const added = new Map<number, { content: string; special: boolean }>();
  for (const token of json.added_tokens ?? []) {
    added.set(token.id, { content: token.content, special: token.special === true });
    tokens[token.id] = token.content;
  }
  const cachedBytes: (Uint8Array | undefined)[] = new Array<undefined>(tokens.length).fill(undefined);
  const cachedTexts: (string | false | undefined)[] = new Array<undefined>(tokens.length).fill(undefined);
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  const compute = (id: number): Uint8Array => {
    const token = tokens[id];
    if (token === undefined) return empty;
    const extra = added.get(id);
    if (extra !== undefined) return extra.special ? empty : encoder.encode(extra.content);
    if (kind === "bytes") return byteLevelBytes(token);
    const byte = json.model.byte_fallback === true ? byteToken.exec(token) : undefined;
    if (byte?.[1] !== undefined) return Uint8Array.of(Number.parseInt(byte[1], 16));
    return encoder.encode(token.replaceAll("\u2581", " "));
  };
  const bytes = (id: number): Uint8Array => {
    if (id >= tokens.length) return empty;
    return (cachedBytes[id] ??= compute(id));
  };

  let longest = 1;
  for (const [id, token] of tokens.entries()) {
    if (token === undefined) continue;
    // A special token's text can be typed by a client, so its name counts, not its empty output.
    const extra = added.get(id);
    const length =
      extra === undefined && kind === "bytes"
        ? token.length
        : encoder.encode(token.replaceAll("\u2581", " ")).length;
    if (length > longest) longest = length;
  }

  return {
    size: tokens.length,
    longestTokenBytes: longest,
    bytes,
    text(id) {
      if (id >= tokens.length) return "";
      let text = cachedTexts[id];
      if (text === undefined) {
        try {
          text = strict.decode(bytes(id));
        } catch {
          text = false;
        }
        cachedTexts[id] = text;
      }
      return text === false ? undefined : text;
    },
    name: (id) => tokens[id] ?? "",
  };
}

function tokenNames(vocab: unknown): (string | undefined)[] {
  const names: (string | undefined)[] = [];
  if (Array.isArray(vocab)) {
    // Unigram: [token, score] pairs in id order.
    for (const entry of vocab as unknown[])
      names.push(Array.isArray(entry) ? String(entry[0]) : String(entry));
    return names;
  }
  if (typeof vocab === "object" && vocab !== null) {
    for (const [token, id] of Object.entries(vocab as Record<string, unknown>)) {
      if (typeof id === "number" && Number.isInteger(id) && id >= 0) names[id] = token;
    }
    return Array.from(names);
  }
  throw new FrontendError({
    code: "FRONTEND_TOKENIZER_UNSUPPORTED",
    kind: "incompatible",
    message: "The tokenizer.json has no model.vocab. Export it again with the tokenizers library.",
  });
}

function decoderKind(decoder: DecoderJson | undefined): "bytes" | "spaceMark" {
  const parts =
    decoder?.type === "Sequence" ? (decoder.decoders ?? []) : decoder === undefined ? [] : [decoder];
  if (parts.some((part) => part.type === "ByteLevel")) return "bytes";
  const isSpaceMark = parts.some(
    (part) =>
      part.type === "Metaspace" ||
      part.type === "ByteFallback" ||
      (part.type === "Replace" && part.pattern?.String === "\u2581"),
  );
  if (isSpaceMark) return "spaceMark";
  throw new FrontendError({
    code: "FRONTEND_TOKENIZER_UNSUPPORTED",
    kind: "incompatible",
    message:
      `The tokenizer's decoder ${JSON.stringify(decoder?.type)} is not known. ` +
      "Byte-level BPE and SentencePiece style (Metaspace, ByteFallback) tokenizers are supported.",
  });
}

/** GPT-2's table between bytes and printable characters, inverted. */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const table = new Map<string, number>();
  let extra = 0;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    table.set(String.fromCodePoint(isPrintable ? byte : 256 + extra++), byte);
  }
  return table;
})();

function byteLevelBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
