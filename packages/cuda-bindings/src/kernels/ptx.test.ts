import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { kvKernelsPtx } from "./kv-kernels.ts";

// Of nvidia-cuda-nvcc-cu12; what an older one does not know of is left out.
const ptxas = process.env.STATOR_PTXAS ?? "ptxas";
const known = spawnSync(ptxas, ["--help"], { encoding: "utf8" }).stdout ?? "";
if (known === "") console.log("skipped: assembling the committed PTX: no ptxas (set STATOR_PTXAS)");

describe("the committed PTX", () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-ptxas-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const source = join(folder, "kernels.ptx");
  writeFileSync(source, kvKernelsPtx);

  for (const architecture of ["sm_70", "sm_80", "sm_90", "sm_100"])
    it.skipIf(!known.includes(`'${architecture}'`))(`assembles for ${architecture}`, () => {
      const out = join(folder, `${architecture}.cubin`);
      const { status, stderr } = spawnSync(ptxas, [`-arch=${architecture}`, source, "-o", out], {
        encoding: "utf8",
      });
      expect(stderr).toBe("");
      expect(status).toBe(0);
    });
});
