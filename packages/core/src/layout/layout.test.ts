import { expect, test } from "vitest";
import { layoutJsonSchema, parseLayout } from "./layout.ts";

const engine = { kind: "simulated" };

test("fills in defaults", () => {
  const layout = parseLayout({ models: { tiny: { pools: { all: { role: "both", replicas: 1, engine } } } } });
  expect(layout).toMatchObject({
    version: 1,
    namespace: "default",
    frontend: { port: 8000, replicas: 1 },
    planes: { discovery: "file" },
  });
});

test.each([
  [{ models: { tiny: { pools: {} } } }, /models.tiny.pools is empty/],
  [
    { models: { tiny: { pools: { p: { role: "prefill", replicas: 1, engine } } } } },
    /prefill without its counterpart/,
  ],
  [{ models: { tiny: { pools: { p: { role: "both", replicas: -1, engine } } } } }, /replicas/],
  [{ models: {}, unknown: 1 }, /unknown/],
  [{ models: { tiny: { pools: { p: { role: "both", replicas: 1, engine: { kind: "gpt" } } } } } }, /engine/],
])("refuses %j with the field's name", (input, message) => {
  expect(() => parseLayout(input)).toThrow(message);
});

test("has a JSON Schema for editors", () => {
  expect(layoutJsonSchema()).toMatchObject({ type: "object", required: ["models"] });
});
