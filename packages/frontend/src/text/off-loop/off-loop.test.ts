import { afterEach, describe, expect, it } from "vitest";
import { byteTokenizer } from "../../../test/kit.ts";
import { createOffLoop, type OffLoop } from "./off-loop.ts";
import { createTextEncoding } from "../tokens/tokenizer.ts";

const file = new TextEncoder().encode(byteTokenizer().json as string);
const { signal } = new AbortController();
const opened: OffLoop[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

function offLoop(mostPending?: number): OffLoop {
  const one = createOffLoop(mostPending === undefined ? {} : { mostPending });
  opened.push(one);
  return one;
}

describe("the thread", () => {
  it("gives the ids that the main thread gives", async () => {
    const text = "The other man thinks, then he ran. ".repeat(5000);
    expect(await offLoop().encode("d", file, text, signal)).toEqual(createTextEncoding(file).encode(text));
  });

  it("parses bodies: long id lists come back as typed arrays, faults with their code", async () => {
    const thread = offLoop();
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    const limits = { depth: 8, keys: 10 };
    const ids = Array.from({ length: 1000 }, (_, i) => i);
    const body = JSON.stringify({ prompt: [ids, [1, 2]], model: "m" });
    expect(await thread.parse(bytes(body), limits, signal)).toEqual({
      prompt: [Uint32Array.from(ids), [1, 2]],
      model: "m",
    });
    expect(await thread.parse(bytes(JSON.stringify({ prompt: [...ids, 1.5] })), limits, signal)).toEqual({
      prompt: [...ids, 1.5],
    });
    await expect(thread.parse(bytes("[".repeat(9)), limits, signal)).rejects.toMatchObject({
      code: "FRONTEND_JSON_TOO_DEEP",
      kind: "invalid",
    });
    await expect(thread.parse(bytes("{"), limits, signal)).rejects.toMatchObject({
      code: "FRONTEND_BODY_INVALID",
      kind: "invalid",
    });
  });

  it("skips what nobody waits for any more, and refuses what would wait too long", async () => {
    const thread = offLoop(1_000_000);
    await thread.encode("d", file, "warm", signal);
    const long = "The other man thinks. ".repeat(5000);
    const first = thread.encode("d", file, long, signal);
    const controller = new AbortController();
    const left = Array.from({ length: 5 }, () => thread.encode("d", file, long, controller.signal));
    const refused = thread.encode("d", file, long.repeat(5), signal);
    await expect(refused).rejects.toMatchObject({ kind: "overloaded" });
    controller.abort(new Error("gone"));
    expect((await Promise.allSettled(left)).map((one) => one.status)).not.toContain("fulfilled");
    await first;
    expect(await thread.encode("d", file, "hi", signal)).toEqual(Uint32Array.of(104, 105));
  });

  it("fails only the call whose tokenizer is broken, and lets a caller go", async () => {
    const thread = offLoop();
    const controller = new AbortController();
    const left = thread.encode("d", file, "x".repeat(1_000_000), controller.signal);
    controller.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    await expect(thread.encode("bad", new TextEncoder().encode("{}"), "x", signal)).rejects.toMatchObject({
      code: "FRONTEND_TOKENIZER_FAILED",
    });
    expect(await thread.encode("d", file, "hi", signal)).toEqual(Uint32Array.of(104, 105));
  });
});
