import { expect, test } from "vitest";
import { explainTransports, measureTransfers } from "./measure-transfer.ts";
import { transportNamed, transportNames } from "./transports.ts";

test("memory moves both ways between two processes over TCP, and the figures add up", async () => {
  const [read, write] = await measureTransfers({
    transports: ["tcp"],
    cases: [{ bytes: 4096, pieces: 8 }],
    repeats: 5,
  });
  expect(read).toMatchObject({ transport: "tcp", operation: "read", bytes: 4096, pieces: 8 });
  expect(write!.gigabytesPerSecond).toBeCloseTo((4096 * 8) / write!.p50Micros / 1000, 1);
});

test("every transport works or says why not", async () => {
  const reports = await explainTransports(transportNames);
  expect(reports.map(({ transport }) => transport)).toEqual(transportNames);
  for (const { works, reason } of reports) expect(works || reason !== undefined).toBe(true);
  expect(() => transportNamed("smoke")).toThrow("there are shm, cma, tcp, ucx");
});
