import { expect, test } from "vitest";
import { profileFromDynamo, profileToDynamo } from "./dynamo-profile.ts";
import { readNpz } from "./npz.ts";
import type { Profile } from "./profile.ts";

const profile: Profile = {
  version: 1,
  source: "Dynamo's profiler",
  prefill: { gpusPerWorker: 1, points: [100, 2621].map((n) => ({ inputTokens: n, ttftMs: 10 + n / 11 })) },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 502_272,
    points: [0.0007, 0.583].map((kvUsage) => ({ kvUsage, contextTokens: 350, itlMs: 10 + kvUsage * 76 })),
  },
};

test("a profile written with Dynamo's keys is read back the same", () => {
  expect(profileFromDynamo(profileToDynamo(profile))).toEqual(profile);
  expect(() => readNpz(new Uint8Array(100))).toThrow(/no zip archive/);
});
