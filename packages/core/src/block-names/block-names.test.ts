import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockScopeSeed } from "./block-scope.ts";
import { createBlockNamer, nameBlocks } from "./block-namer.ts";
import { xxh3Fallback } from "./xxh3-fallback.ts";
import { xxh3Vectors } from "./xxh3-vectors.ts";
import { xxh3, xxh3Native } from "./xxh3.ts";

const data = Uint8Array.from({ length: 5000 }, (_, i) => (i * 131 + 7) & 255);
const prompt = Uint32Array.from({ length: 2048 }, (_, i) => (i * 7919) % 32_000);
const last = (names: BigUint64Array): bigint | undefined => names.at(-1);

describe("XXH3-64", () => {
  test("is native here", () => expect(xxh3Native()).toBeDefined());

  test("equals libxxhash at every length class, natively and in the fallback", () => {
    for (const [length, seed, hash] of xxh3Vectors) {
      expect(xxh3(data.subarray(0, length), seed), `native, ${length} bytes`).toBe(hash);
      expect(xxh3Fallback(data.subarray(0, length), seed), `fallback, ${length} bytes`).toBe(hash);
    }
  });

  test("native and fallback agree on any bytes and seed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 1200 }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (bytes, seed) => {
          expect(xxh3(bytes, seed)).toBe(xxh3Fallback(bytes, seed));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("block names", () => {
  test("equal the golden chain of Dynamo's own tests", () => {
    const namer = createBlockNamer({ blockTokens: 4 });
    expect([...namer.append([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])]).toEqual([
      14643705804678351452n,
      4945711292740353085n,
    ]);
    expect([...namer.append([11, 12])]).toEqual([12583592247330656132n]);
    expect([...namer.locals()]).toEqual([14643705804678351452n, 16777012769546811212n, 483935686894639516n]);
  });

  test.each([
    [1, 9734970970567608806n],
    [4, 6534207119305703914n],
    [16, 11318439369944309552n],
    [32, 9075218765535345654n],
    [64, 3168129364272189019n],
    [128, 11607004605276539887n],
    [512, 2702040010083117098n],
  ])("equal libxxhash chains at %i tokens a block", (blockTokens, name) => {
    expect(last(nameBlocks(prompt, { blockTokens }))).toBe(name);
  });

  test("shift with adapter, salt, and both", () => {
    expect(last(nameBlocks(prompt, { blockTokens: 16, adapter: "adapter-a" }))).toBe(6236925333062294300n);
    expect(last(nameBlocks(prompt, { blockTokens: 16, salt: "tenant-1" }))).toBe(17625720067787275282n);
    expect(last(nameBlocks(prompt, { blockTokens: 16, adapter: "adapter-a", salt: "tenant-1" }))).toBe(
      17002843997703585252n,
    );
    expect(blockScopeSeed({ adapter: "", salt: "" })).toBe(1337n);
  });

  test("cover one id more for bigram engines", () => {
    const names = nameBlocks(prompt, { blockTokens: 16, lookaheadTokens: 1 });
    expect([names.length, last(names)]).toEqual([127, 1174266636973301795n]);
  });

  test("take the sorted hashes of the media that touch a block", () => {
    const media = [
      { hash: 99n, offsetTokens: 40, lengthTokens: 20 },
      { hash: 5n, offsetTokens: 33, lengthTokens: 2 },
    ];
    expect(last(nameBlocks(prompt, { blockTokens: 16, media }))).toBe(15730691911852089654n);
  });

  test("do not depend on how the ids arrive", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 400 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 40 }),
        (ids, cuts, blockTokens) => {
          const whole = nameBlocks(ids, { blockTokens });
          const namer = createBlockNamer({ blockTokens });
          for (let from = 0, i = 0; from < ids.length; i++) {
            const to = from + cuts[i % cuts.length]!;
            namer.append(i % 2 === 0 ? ids.slice(from, to) : Uint32Array.from(ids.slice(from, to)));
            from = to;
          }
          expect(namer.names()).toEqual(whole);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("continue from a parent", () => {
    const whole = nameBlocks(prompt, { blockTokens: 16 });
    expect(nameBlocks(prompt.subarray(160), { blockTokens: 16, parent: whole[9]! })).toEqual(
      whole.subarray(10),
    );
  });

  test("of a prompt longer than one native call are one chain", () => {
    const long = Uint32Array.from({ length: 200_000 }, (_, i) => i);
    const namer = createBlockNamer({ blockTokens: 1 });
    for (let i = 0; i < long.length; i += 1000) namer.append(long.subarray(i, i + 1000));
    expect(last(nameBlocks(long, { blockTokens: 1 }))).toBe(last(namer.names()));
  });

  test("refuse a block size that is none", () => {
    expect(() => createBlockNamer({ blockTokens: 0 })).toThrow(
      "blockTokens is 0; it must be a whole number from 1 to 16384.",
    );
  });
});
