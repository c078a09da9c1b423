import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { ModuleKind, ScriptTarget, transpileModule } from "typescript";
import { afterEach, describe, expect, test } from "vitest";
import { createPrefixIndex } from "./create-prefix-index.ts";
import { openSharedIndex } from "./shared-index.ts";

const path = (chain: number, length: number): BigUint64Array =>
  BigUint64Array.from({ length }, (_, i) =>
    BigInt.asUintN(64, BigInt(chain * 1_000_003 + i + 1) * 0x9e3779b97f4a7c15n),
  );

let worker: Worker | undefined;
afterEach(() => worker?.terminate());

describe("a shared index", () => {
  test("reads as its writer does, holes, clears and widening included", () => {
    const index = createPrefixIndex({ isShared: true, maxBytes: 16 * 1024 * 1024 });
    const reader = openSharedIndex(index.shared!);
    const targets = Array.from({ length: 70 }, () => index.addTarget());
    for (let chain = 0; chain < 300; chain++) {
      const blocks = path(chain % 90, 64);
      const target = targets[(chain * 7) % 70]!;
      index.store(target, { names: blocks.subarray(0, 1 + ((chain * 13) % 64)) });
      if (chain % 3 === 0) index.remove(target, blocks.subarray(2, 3), undefined);
      if (chain % 50 === 49) index.clear(targets[chain % 70]!);
      const match = index.lookup(blocks);
      const read = reader.lookup(blocks)!;
      for (const each of targets)
        expect(read[each], `chain ${chain}, target ${each}`).toBe(match.depths[each]);
    }
  });

  test("never over-reports to another thread while it is written", async () => {
    const index = createPrefixIndex({ isShared: true, maxBytes: 16 * 1024 * 1024 });
    const [steady, busy] = [index.addTarget(), index.addTarget()];
    const chain = path(1, 200);
    index.store(steady, { names: chain.subarray(0, 120) });
    // Threads load no TypeScript: the reader goes in as JavaScript.
    const source = `
      const { parentPort, workerData } = require("node:worker_threads");
      const { handle, chain, steady, busy } = workerData;
      const open = ${openerSource()};
      const reader = open(handle);
      let [reads, wrong, failed] = [0, 0, 0];
      parentPort.on("message", () => parentPort.postMessage({ reads, wrong, failed }));
      (function loop() {
        for (let i = 0; i < 200; i++) {
          const depths = reader.lookup(chain);
          if (depths === undefined) failed++;
          else {
            reads++;
            if (depths[steady] !== 120 || depths[busy] > 200) wrong++;
          }
        }
        setImmediate(loop);
      })();`;
    worker = new Worker(source, { eval: true, workerData: { handle: index.shared, chain, steady, busy } });
    const ask = (): Promise<{ reads: number; wrong: number; failed: number }> =>
      new Promise((resolve, reject) => {
        worker!.once("message", resolve);
        worker!.once("error", reject);
        worker!.postMessage("report");
      });
    let report = await ask();
    for (let round = 0; report.reads < 20_000 && round < 2000; round++) {
      for (let i = 0; i < 20; i++) {
        index.store(busy, { names: chain });
        index.store(busy, { names: path(1000 + round * 20 + i, 50) });
        index.remove(busy, chain.slice(round % 200).reverse(), undefined);
      }
      report = await ask();
    }
    expect(report.reads).toBeGreaterThanOrEqual(20_000);
    expect(report.wrong).toBe(0);
  });
});

/** The reader's module and what it imports, as CommonJS in one expression. */
function openerSource(): string {
  const moduleOf = (file: string): string =>
    transpileModule(readFileSync(new URL(file, import.meta.url), "utf8"), {
      compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 },
    }).outputText;
  return `(function () {
    const nodes = {};
    (function (exports, require) { ${moduleOf("./prefix-index.ts")} })(nodes);
    const index = {};
    (function (exports, require) { ${moduleOf("./shared-index.ts")} })(index, () => nodes);
    return index.openSharedIndex;
  })()`;
}
