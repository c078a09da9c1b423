import type { Vocabulary } from "./vocabulary.ts";

/**
 * A vocabulary in which the control tokens called `names` are text: Llama's `<|python_tag|>` and Mistral's `[TOOL_CALLS]` have no
 * text of their own, but say that a call begins; gpt-oss's say what is a thought.
 */
export function revealTokens(vocabulary: Vocabulary, names: readonly string[]): Vocabulary {
  if (names.length === 0) return vocabulary;
  const revealed = new Map<number, { readonly text: string; readonly bytes: Uint8Array }>();
  for (let id = 0; id < vocabulary.size; id++) {
    const name = vocabulary.name(id);
    if (names.includes(name) && vocabulary.bytes(id).length === 0)
      revealed.set(id, { text: name, bytes: new TextEncoder().encode(name) });
  }
  if (revealed.size === 0) return vocabulary;
  return {
    size: vocabulary.size,
    longestTokenBytes: vocabulary.longestTokenBytes,
    bytes: (id) => revealed.get(id)?.bytes ?? vocabulary.bytes(id),
    text: (id) => revealed.get(id)?.text ?? vocabulary.text(id),
    name: (id) => vocabulary.name(id),
  };
}
