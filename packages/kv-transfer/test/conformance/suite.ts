// One transport's conformance tests, for the files of this folder: one each, so that they run side by side.
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, it } from "vitest";
import { loadTransferAddon } from "@stator/kv-transfer";
import { type TransportFixture, transportSuite } from "@stator/kv-transfer/testing";

/** Where a second process finds the factories. */
export const specifier: string = fileURLToPath(new URL("../../src/index.ts", import.meta.url));

/** `STATOR_ENDURANCE=1` runs what takes most of a minute per transport in full. */
const isEndurance = process.env.STATOR_ENDURANCE === "1";

/** Every case of the suite as a test, or those whose names fit `only`. */
export function conforms(transport: string, fixture: TransportFixture, only?: RegExp): void {
  describe(transport, () => {
    for (const { name, run } of transportSuite(fixture, { isEndurance }))
      if (only?.test(name) !== false) it(name, { timeout: isEndurance ? 600_000 : 60_000 }, run);
  });
}

/** Whether the native addon is there; says so where it is not, and fails where it must be. */
export function hasAddon(): boolean {
  const native = loadTransferAddon();
  const isRequired = (process.env.STATOR_REQUIRE ?? "").split(",").includes("native");
  if (!native.isAvailable && isRequired) throw new Error(`STATOR_REQUIRE asks for native: ${native.reason}`);
  if (!native.isAvailable) {
    console.log(`skipped: transports of the native addon: ${native.reason}`);
    describe.skip("needs the native addon", () => it("is not there", () => undefined));
  }
  return native.isAvailable;
}

/** A folder of this file's tests alone, gone after them. */
export function ownFolder(name: string): string {
  const path = join(tmpdir(), `stator-test-${process.pid}-${name}`);
  mkdirSync(path, { mode: 0o700, recursive: true });
  afterAll(() => rmSync(path, { recursive: true }));
  return path;
}
