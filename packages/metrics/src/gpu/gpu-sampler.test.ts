import { readFileSync, writeFileSync, mkdtempSync, chmodSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@stator/core";
import { afterEach, describe, expect, test } from "vitest";
import { createMetrics } from "@stator/metrics";
import { createGpuSampler, dcgmExporter, type GpuSource, nvidiaSmi, nvml } from "@stator/metrics/gpu";
import { seriesOf } from "../testing/series-of.ts";
import { parseExposition } from "./parse-exposition.ts";

/** Figures of two H100 in the format of dcgm-exporter 3.3. */
const scrape = readFileSync(new URL("./fixtures/dcgm-exporter.txt", import.meta.url), "utf8");
const uuid = "GPU-7a1d5c52-3b0e-4f7e-9c55-0d1f6a2b8e10";
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function manualClock(): Clock & { atMs: number } {
  return {
    atMs: 0,
    now() {
      return this.atMs;
    },
    schedule: () => ({ cancel: () => {} }),
  };
}

async function sampled(
  sources: readonly GpuSource[],
  options: { clock?: Clock & { atMs: number }; rounds?: number; outputTokens?: () => number } = {},
): Promise<(name: string, gpu?: string) => number | undefined> {
  const metrics = createMetrics({ process: false });
  const clock = options.clock ?? manualClock();
  const { outputTokens } = options;
  const sampler = createGpuSampler({
    metrics,
    sources,
    clock,
    ...(outputTokens === undefined ? {} : { outputTokens }),
  });
  closers.push(() => sampler.close());
  await sampler.sample();
  for (let i = 1; i < (options.rounds ?? 1); i++) {
    clock.atMs += 1_000;
    await sampler.sample();
  }
  const samples = parseExposition(await metrics.expose());
  return (name, gpu) =>
    samples.find(
      (s) =>
        s.name === name &&
        (gpu === undefined || s.labels.get("gpu") === gpu || s.labels.get("source") === gpu),
    )?.value;
}

async function listen(answer: () => string | undefined): Promise<string> {
  const server: Server = createServer((_, response) => {
    const text = answer();
    response.writeHead(text === undefined ? 500 : 200, { "content-type": "text/plain" }).end(text ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

describe("dcgm-exporter", () => {
  test("its figures come out in base units", async () => {
    const read = await sampled([dcgmExporter({ url: await listen(() => scrape) })]);
    expect(read("stator_gpu_source_up", "dcgm")).toBe(1);
    expect(read("stator_gpu_utilization_ratio", "0")).toBeCloseTo(0.87);
    expect(read("stator_gpu_power_watts", "1")).toBeCloseTo(512.204);
    expect(read("stator_gpu_memory_used_bytes", "0")).toBe(71_965 * 1_048_576);
    expect(read("stator_gpu_memory_total_bytes", "0")).toBe((71_965 + 9_120) * 1_048_576);
    expect(read("stator_gpu_sm_clock_hertz", "0")).toBe(1_755_000_000);
    expect(read("stator_gpu_tensor_active_ratio", "1")).toBeCloseTo(0.358821);
    expect(read("stator_gpu_nvlink_transmit_bytes_per_second", "0")).toBe(18_211_403_776);
    expect(read("stator_gpu_last_xid", "0")).toBe(0);
    expect(read("stator_gpu_temperature_celsius", "1")).toBe(57);
  });

  test("energy counts from the device's own counter, over a reset, and per 1,000 output tokens", async () => {
    const millijoules = [48_211_973_344, 48_212_373_344, 100_000];
    let round = 0;
    let tokens = 0;
    const answer = (): string =>
      scrape
        .split("\n")
        .filter((l) => !l.includes('gpu="1"'))
        .join("\n")
        .replace("48211973344", String(millijoules[Math.min(round++, 2)]));
    const read = await sampled([dcgmExporter({ url: await listen(answer) })], {
      rounds: 3,
      outputTokens: () => (tokens += 500),
    });
    expect(read("stator_gpu_energy_joules_total", "0")).toBeCloseTo(400 + 100);
    expect(read("stator_gpu_energy_per_thousand_output_tokens_joules")).toBeCloseTo(500);
  });

  test("MIG instances are not taken for GPUs", async () => {
    const mig = scrape.replaceAll(
      'device="nvidia1"',
      'device="nvidia1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"',
    );
    const read = await sampled([dcgmExporter({ url: await listen(() => mig) })]);
    expect(read("stator_gpu_power_watts", "0")).toBeDefined();
    expect(read("stator_gpu_power_watts", "1")).toBeUndefined();
  });
});

describe("absence", () => {
  test("no source that answers: no series, and gpu_source_up 0", async () => {
    const read = await sampled([
      dcgmExporter({ url: await listen(() => undefined) }),
      nvidiaSmi({ path: "/nonexistent/nvidia-smi" }),
    ]);
    expect(read("stator_gpu_source_up", "dcgm")).toBe(0);
    expect(read("stator_gpu_source_up", "nvidia_smi")).toBe(0);
    expect(read("stator_gpu_power_watts")).toBeUndefined();
    expect(read("stator_gpu_energy_joules_total")).toBeUndefined();
  });

  test("a source that goes away takes its series with it, and the next one is asked", async () => {
    let isUp = true;
    const url = await listen(() => (isUp ? scrape : undefined));
    const metrics = createMetrics({ process: false });
    const spare: GpuSource = {
      name: "nvml",
      read: () => Promise.resolve([{ gpu: "0", uuid, powerWatts: 99 }]),
    };
    const clock = manualClock();
    const sampler = createGpuSampler({ metrics, sources: [dcgmExporter({ url }), spare], clock });
    closers.push(() => sampler.close());
    await sampler.sample();
    isUp = false;
    await sampler.sample();
    const samples = parseExposition(await metrics.expose());
    const names = samples
      .filter((s) => s.name.startsWith("stator_gpu_"))
      .map((s) => `${s.name} ${s.labels.get("gpu") ?? s.labels.get("source")} ${s.value}`);
    expect(names).toContain("stator_gpu_power_watts 0 99");
    expect(names).toContain("stator_gpu_source_up dcgm 0");
    expect(names).toContain("stator_gpu_source_up nvml 1");
    expect(names.filter((n) => n.startsWith("stator_gpu_utilization"))).toEqual([]);

    isUp = true;
    clock.atMs += 9_000;
    await sampler.sample();
    expect(seriesOf(await metrics.expose()).get('stator_gpu_source_up{source="dcgm"}')).toBe(0);
    clock.atMs += 1_000;
    await sampler.sample();
    expect(seriesOf(await metrics.expose()).get('stator_gpu_source_up{source="dcgm"}')).toBe(1);
    sampler.close();
    expect(
      parseExposition(await metrics.expose()).filter((s) => s.name === "stator_gpu_power_watts"),
    ).toEqual([]);
  });

  test("an interval below 100 ms is refused", () => {
    expect(() =>
      createGpuSampler({ metrics: createMetrics({ process: false }), sources: [], intervalMs: 1 }),
    ).toThrow("intervalMs");
  });
});

describe("nvidia-smi", () => {
  test("its CSV is read, what it does not support is absent, and power is integrated to energy", async () => {
    const path = join(mkdtempSync(join(tmpdir(), "smi-")), "nvidia-smi");
    writeFileSync(
      path,
      `#!/bin/sh\necho "0, ${uuid}, NVIDIA L4, 50, [N/A], 60.00, 72.00, 1024, 23034, 44, 1200"\n`,
    );
    chmodSync(path, 0o755);
    const read = await sampled([nvidiaSmi({ path })], { rounds: 3 });
    expect(read("stator_gpu_utilization_ratio", "0")).toBe(0.5);
    expect(read("stator_gpu_memory_copy_ratio", "0")).toBeUndefined();
    expect(read("stator_gpu_memory_used_bytes", "0")).toBe(1_073_741_824);
    expect(read("stator_gpu_energy_joules_total", "0")).toBeCloseTo(120);
  });
});

describe("nvml", () => {
  test("devices are read in NVML's units, and a figure that throws is absent", async () => {
    const source = nvml({
      devices: () => [
        {
          index: 0,
          uuid,
          name: "NVIDIA H100",
          utilization: () => ({ gpu: 25, memory: 10 }),
          powerMilliwatts: () => 350_000,
          energyMillijoules: () => 5_000n,
          memory: () => ({ usedBytes: 2n ** 33n, totalBytes: 2n ** 36n }),
          temperatureCelsius: () => {
            throw new Error("NVML_ERROR_NOT_SUPPORTED");
          },
        },
      ],
    });
    const read = await sampled([source]);
    expect(read("stator_gpu_power_watts", "0")).toBe(350);
    expect(read("stator_gpu_memory_used_bytes", "0")).toBe(2 ** 33);
    expect(read("stator_gpu_temperature_celsius", "0")).toBeUndefined();
    expect(read("stator_gpu_source_up", "nvml")).toBe(1);
  });

  test("NVML that cannot be opened is a source that is down", async () => {
    const read = await sampled([
      nvml({
        devices: () => {
          throw new Error("driver not loaded");
        },
      }),
    ]);
    expect(read("stator_gpu_source_up", "nvml")).toBe(0);
  });
});
