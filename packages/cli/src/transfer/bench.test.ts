import { expect, test, vi } from "vitest";
import { measureTransfers } from "./bench.ts";
import { startAgents } from "./controlled-agents.ts";
import { explainPath, explainTransports } from "./explain.ts";
import { namespaceAgents } from "./list-agents.ts";
import { transportNamed, transportNames } from "./transports.ts";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

test("memory moves both ways between pairs of processes, and the figures add up", async () => {
  const measures = await measureTransfers({
    transports: ["tcp"],
    cases: [
      { bytes: 4096, pieces: 8 },
      { bytes: 1024, pieces: 1 },
    ],
    repeats: 5,
  });
  expect(measures.map(({ operation, bytes, pieces }) => ({ operation, bytes, pieces }))).toEqual([
    { operation: "read", bytes: 4096, pieces: 8 },
    { operation: "write", bytes: 4096, pieces: 8 },
    { operation: "read", bytes: 1024, pieces: 1 },
    { operation: "write", bytes: 1024, pieces: 1 },
  ]);
  for (const { transport, initiators, targets, p50Micros, p99Micros, gigabytesPerSecond } of measures) {
    expect([transport, initiators, targets]).toEqual(["tcp", 1, 1]);
    expect(p99Micros).toBeGreaterThanOrEqual(p50Micros);
    expect(gigabytesPerSecond).toBeGreaterThanOrEqual(0);
  }
});

test("several processes write to one, each into its own part", async () => {
  const measures = await measureTransfers({
    transports: ["tcp"],
    cases: [{ bytes: 65_536, pieces: 4 }],
    topology: { kind: "manyToOne", initiators: 2 },
    operations: ["write"],
    repeats: 4,
  });
  expect(measures).toMatchObject([{ operation: "write", initiators: 2, targets: 1 }]);
});

test("agents of a namespace are listed with what they hold and moved, and say how they reach each other", async () => {
  await using agents = await startAgents(["one", "two"], ["tcp"]);
  const [one, two] = [agents.client("one"), agents.client("two")];
  const { leaseId } = await two.openBench({ bytes: 4_096n, leaseMs: 30_000 });
  const way = await explainPath(one, two, 1_000_000);
  expect(way).toMatchObject({ chosen: "tcp", reports: [{ transport: "tcp", works: true, isChosen: true }] });
  await using namespace = await namespaceAgents("default", agents.discovery);
  expect(await namespace.reports()).toMatchObject([
    { process: "one", transports: ["tcp"], regions: 0, leases: 0 },
    { process: "two", regions: 1, regionBytes: 4_096, leases: 1 },
  ]);
  await two.releaseLease({ leaseId });
  expect(await namespace.reports()).toMatchObject([{}, { process: "two", regions: 0, leases: 0 }]);
});

test("every transport works or says why not", async () => {
  const reports = await explainTransports(transportNames);
  expect(reports.map(({ transport }) => transport)).toEqual(transportNames);
  for (const { works, reason } of reports) expect(works || reason !== undefined).toBe(true);
  // These need nothing but Linux.
  for (const name of ["shm", "tcp", "file"])
    expect(reports.find(({ transport }) => transport === name)).toMatchObject({ works: true });
  expect(() => transportNamed("smoke")).toThrow("there are shm, cma, tcp, ucx, file");
});
