// All that needs a GPU, in one run: each kernel against the host oracles, sharing between processes, KV transfer over it, and how fast bytes move.
// `npm run gpu-check` runs it and keeps the result.
import { isCudaAvailable, openCuda } from "@stator/cuda-bindings";
import { driverChecks } from "./gpu-parts/driver-checks.ts";
import { measureFigures, type Figure } from "./gpu-parts/figures.ts";
import { kernelChecks } from "./gpu-parts/kernel-checks.ts";
import { transferChecks } from "./gpu-parts/transfer-checks.ts";
import { measureTransferFigures } from "./gpu-parts/transfer-figures.ts";
import { createWorkbench } from "./gpu-parts/workbench.ts";

export interface GpuReport {
  readonly device: string;
  readonly driverVersion: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
  readonly figures: readonly Figure[];
  readonly ok: boolean;
}

export interface GpuOptions {
  /** The driver. Default: the system's. */
  readonly library?: string;
  /** Bytes moved per measurement. Default 1 GiB. */
  readonly bytes?: number;
  /** Pairs of measurement and baseline. Default 20. */
  readonly rounds?: number;
}

/** `npm run bench -- gpu`. */
export function run(): Promise<GpuReport | { readonly skipped: string }> {
  return checkGpu();
}

export async function checkGpu(options: GpuOptions = {}): Promise<GpuReport | { readonly skipped: string }> {
  const library = options.library === undefined ? {} : { library: options.library };
  const availability = isCudaAvailable(library);
  if (!availability.isAvailable) return { skipped: availability.reason };
  const cuda = openCuda(library);
  const context = cuda.context(0);
  const bench = createWorkbench(context, options.library);
  const all = { ...kernelChecks(bench), ...driverChecks(bench), ...transferChecks(bench) };
  const checks: { name: string; ok: boolean; detail?: string }[] = [];
  for (const [name, check] of Object.entries(all)) {
    try {
      const detail = await check();
      checks.push({ name, ok: true, ...(detail === undefined ? {} : { detail }) });
    } catch (error) {
      checks.push({ name, ok: false, detail: error instanceof Error ? error.message : String(error) });
    }
  }
  const { bytes = 2 ** 30, rounds = 20 } = options;
  const figures = await measureFigures(context, bytes, rounds);
  // A fake driver has no speed of its own.
  if (options.library === undefined) figures.push(...(await measureTransferFigures(context, bytes, rounds)));
  return {
    device: context.device.name,
    driverVersion: cuda.driverVersion,
    checks,
    figures,
    ok: checks.every(({ ok }) => ok) && figures.every(({ reached }) => reached),
  };
}
