import { expect, test } from "vitest";
import { webhook } from "./webhook.ts";

const { signal } = new AbortController();
const answering = (body: string, status = 200): typeof globalThis.fetch =>
  (() => Promise.resolve(new Response(body, { status }))) as typeof globalThis.fetch;

test.each([
  [401, "unauthorized", /credentials in the scaler's headers/],
  [403, "unauthorized", /the right to scale/],
  [404, "notFound", /address right/],
  [409, "unavailable", /next sample/],
  [410, "unavailable", /no longer in use/],
  [429, "unavailable", /longer intervalSeconds/],
  [500, "unavailable", /refused with 500: quota of team a/],
])(
  "a refusal with %d is %s, has the other side's words and says what to do",
  async (status, kind, advice) => {
    const scaler = webhook({ url: "http://scaler.test", fetch: answering("quota of team a", status) });
    const refusal = expect(scaler.scale({ prefill: 1, decode: 2 }, signal)).rejects;
    await refusal.toMatchObject({ code: "PLANNER_SCALING_FAILED", kind, data: { status } });
    await expect(scaler.state(signal)).rejects.toThrow(advice);
    await expect(scaler.state(signal)).rejects.toThrow(/quota of team a/);
  },
);

test.each([
  "<html>",
  '{"ready":{"prefill":"1","decode":1}}',
  '{"ready":3}',
  "[]",
  '{"ready":{"prefill":-1,"decode":1}}',
])("an answer of another shape is quoted, not believed: %s", async (body) => {
  const scaler = webhook({ url: "http://scaler.test", fetch: answering(body) });
  await expect(scaler.state(signal)).rejects.toThrow(/expected nothing or/);
});
