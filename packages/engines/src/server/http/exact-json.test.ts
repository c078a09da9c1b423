import fc from "fast-check";
import { expect, test } from "vitest";
import { parseExactJson, stringifyExactJson } from "./exact-json.ts";

test("integers of any size, anywhere, survive a round trip", () => {
  const integer = fc
    .bigInt({ min: -(2n ** 64n), max: 2n ** 64n })
    .map((n) => (n >= -(2n ** 53n - 1n) && n < 2n ** 53n ? Number(n) : n));
  const leaf = fc.oneof(
    integer,
    fc.string(),
    fc.constant('quoted "123456789012345678901" \\ text'),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((x) => !Object.is(x, -0) && (!Number.isInteger(x) || Number.isSafeInteger(x))),
    fc.boolean(),
  );
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("value")),
      fc.dictionary(
        fc.string().filter((k) => k !== "__proto__"),
        tie("value"),
      ),
    ),
  })).value;
  fc.assert(
    fc.property(json, (value) => {
      expect(parseExactJson(stringifyExactJson(value))).toEqual(value);
    }),
    { numRuns: 500 },
  );
});

test("reads what JSON.parse would, where nothing is large", () => {
  expect(parseExactJson('{"a":[1,2.5e3,-4],"b":"x"}')).toEqual({ a: [1, 2500, -4], b: "x" });
  expect(parseExactJson('[12345678901234567890, 1234567890123456.5, "99999999999999999999"]')).toEqual([
    12345678901234567890n,
    1234567890123456.5,
    "99999999999999999999",
  ]);
});

test("writes ids as a list, beside whatever else there is", () => {
  const body = {
    prompt: Uint32Array.of(1, 4_294_967_295),
    seed: -(2n ** 63n),
    left: undefined,
    a: { b: [2n ** 60n] },
  };
  expect(stringifyExactJson(body)).toBe(
    '{"prompt":[1,4294967295],"seed":-9223372036854775808,"a":{"b":[1152921504606846976]}}',
  );
  expect(stringifyExactJson({ prompt: new Uint32Array(0) })).toBe('{"prompt":[]}');
});
