import { expect, test } from "vitest";
import { distribution, overrideLayout, readLayout } from "stator";

test("the README's doors do what it says", async () => {
  const layout = overrideLayout(await readLayout("examples/quickstart/layout.yaml", "mine"), {
    prefill: 1,
    decode: 3,
  });
  expect(layout.models["tiny"]?.pools["decode"]?.replicas).toBe(3);
  expect(layout.namespace).toBe("mine");
  expect(distribution([1, 2, 3, 4]).p50).toBe(2);
});

test("prefill 0 makes the graph aggregated, decode 0 is refused, and a broken file names itself", async () => {
  const layout = await readLayout("examples/quickstart/layout.yaml", "mine");
  const { pools } = overrideLayout(layout, { prefill: 0 }).models["tiny"]!;
  expect(Object.values(pools).map(({ role }) => role)).toEqual(["both"]);
  expect(() => overrideLayout(layout, { decode: 0 })).toThrow("leaves nothing that decodes");
  await expect(readLayout("package.json")).rejects.toThrow(/package\.json.*models/s);
  await expect(readLayout("missing.yaml")).rejects.toThrow("missing.yaml");
});
