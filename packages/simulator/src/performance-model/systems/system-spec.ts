import { parse } from "yaml";
import * as z from "zod";
import { simulatorError } from "../../simulator-error.ts";

const positive = z.number().positive();

/** A machine kind: one GPU, the node it sits in and the links between. Bandwidths are per GPU and one way. */
export interface SystemSpec {
  /** How users name it, e.g. `h200`. */
  readonly name: string;
  /** Compute capability times ten: 80, 89, 90, 100, 103. Chooses which data types have tensor cores. */
  readonly computeCapability: number;
  readonly memoryBytes: number;
  readonly memoryBytesPerSecond: number;
  /** Dense (not sparse) tensor-core rates in operations per second; a missing one is not supported in hardware. */
  readonly bf16PerSecond: number;
  readonly fp8PerSecond?: number | undefined;
  readonly fp4PerSecond?: number | undefined;
  readonly int8PerSecond?: number | undefined;
  readonly gpusPerNode: number;
  /** GPUs that share one NVLink domain; equals `gpusPerNode` but for rack-scale systems (72). 1 means PCIe only. */
  readonly nvlinkDomain: number;
  readonly nvlinkBytesPerSecond: number;
  readonly networkBytesPerSecond: number;
  readonly pcieBytesPerSecond: number;
  /** Board power limit of one GPU in watts. */
  readonly watts?: number | undefined;
}

/** Checks a system record. */
export const systemSchema: z.ZodType<SystemSpec> = z.strictObject({
  name: z.string().min(1),
  computeCapability: z.number().int().positive(),
  memoryBytes: positive,
  memoryBytesPerSecond: positive,
  bf16PerSecond: positive,
  fp8PerSecond: positive.optional(),
  fp4PerSecond: positive.optional(),
  int8PerSecond: positive.optional(),
  gpusPerNode: z.number().int().positive(),
  nvlinkDomain: z.number().int().positive(),
  nvlinkBytesPerSecond: positive,
  networkBytesPerSecond: positive,
  pcieBytesPerSecond: positive,
  watts: positive.optional(),
});

const tera = 1e12;
const giga = 1e9;
const gib = 2 ** 30;

// Sources: vendor data sheets (dense rates, one-way link speeds). Memory is what the driver reports, in bytes.
const node = { gpusPerNode: 8, nvlinkDomain: 8 };
const hopper = {
  ...node,
  computeCapability: 90,
  bf16PerSecond: 989 * tera,
  fp8PerSecond: 1978 * tera,
  int8PerSecond: 1978 * tera,
  nvlinkBytesPerSecond: 450 * giga,
  networkBytesPerSecond: 50 * giga,
  pcieBytesPerSecond: 64 * giga,
  watts: 700,
};
const blackwell = {
  ...node,
  computeCapability: 100,
  memoryBytes: 180 * gib,
  memoryBytesPerSecond: 7.7 * tera,
  bf16PerSecond: 2250 * tera,
  fp8PerSecond: 4500 * tera,
  fp4PerSecond: 9000 * tera,
  int8PerSecond: 4500 * tera,
  nvlinkBytesPerSecond: 900 * giga,
  networkBytesPerSecond: 100 * giga,
  pcieBytesPerSecond: 128 * giga,
  watts: 1000,
};
const blackwellUltra = {
  ...blackwell,
  computeCapability: 103,
  memoryBytes: 268 * gib,
  fp4PerSecond: 13500 * tera,
  int8PerSecond: 280 * tera,
  watts: 1100,
};
const rack = { gpusPerNode: 4, nvlinkDomain: 72 };

const builtIn: readonly SystemSpec[] = [
  {
    ...node,
    name: "a100",
    computeCapability: 80,
    memoryBytes: 80 * gib,
    memoryBytesPerSecond: 2.039 * tera,
    bf16PerSecond: 312 * tera,
    int8PerSecond: 624 * tera,
    nvlinkBytesPerSecond: 300 * giga,
    networkBytesPerSecond: 25 * giga,
    pcieBytesPerSecond: 32 * giga,
    watts: 400,
  },
  {
    name: "l40s",
    computeCapability: 89,
    memoryBytes: 48e9,
    memoryBytesPerSecond: 0.864 * tera,
    bf16PerSecond: 362 * tera,
    fp8PerSecond: 733 * tera,
    int8PerSecond: 733 * tera,
    gpusPerNode: 8,
    nvlinkDomain: 1,
    nvlinkBytesPerSecond: 32 * giga,
    networkBytesPerSecond: 25 * giga,
    pcieBytesPerSecond: 32 * giga,
    watts: 350,
  },
  { ...hopper, name: "h100", memoryBytes: 80 * gib, memoryBytesPerSecond: 3.35 * tera },
  { ...hopper, name: "h200", memoryBytes: 141 * gib, memoryBytesPerSecond: 4.8 * tera },
  { ...blackwell, name: "b200" },
  { ...blackwellUltra, name: "b300" },
  {
    ...blackwell,
    ...rack,
    name: "gb200",
    memoryBytes: 184 * gib,
    memoryBytesPerSecond: 8 * tera,
    bf16PerSecond: 2500 * tera,
    fp8PerSecond: 5000 * tera,
    fp4PerSecond: 10000 * tera,
    watts: 1200,
  },
  {
    ...blackwellUltra,
    ...rack,
    name: "gb300",
    memoryBytes: 277 * gib,
    memoryBytesPerSecond: 8 * tera,
    bf16PerSecond: 2500 * tera,
    fp8PerSecond: 5000 * tera,
    fp4PerSecond: 15000 * tera,
    watts: 1400,
  },
];

/** Names of the built-in systems. */
export function systemNames(): readonly string[] {
  return builtIn.map((system) => system.name);
}

/**
 * A built-in system: `a100`, `l40s`, `h100`, `h200`, `b200`, `b300`, `gb200` and `gb300` (NVL72). Suffixes such as
 * `_sxm`, `-nvl72` and case are ignored.
 *
 * @throws SimulatorError `SIMULATOR_SYSTEM_UNKNOWN` naming all known ones.
 */
export function findSystem(name: string): SystemSpec {
  const short = name.toLowerCase().replace(/[-_ ]?(sxm\d?|nvl\d*|pcie)$/, "");
  const found = builtIn.find((system) => system.name === short);
  if (found) return found;
  throw simulatorError(
    "SIMULATOR_SYSTEM_UNKNOWN",
    `No system "${name}". Known: ${systemNames().join(", ")}. For any other, pass a YAML record of it.`,
    {
      system: name,
      known: systemNames(),
    },
  );
}

/**
 * A user's own system from YAML text with the fields of `SystemSpec`. `extends: h200` starts from a built-in one.
 *
 * @throws SimulatorError `SIMULATOR_SYSTEM_INVALID` listing each wrong field.
 */
export function systemFromYaml(text: string): SystemSpec {
  const raw: unknown = parse(text);
  const { extends: base, ...own } =
    typeof raw === "object" && raw !== null ? (raw as Record<string, unknown>) : {};
  const result = systemSchema.safeParse(typeof base === "string" ? { ...findSystem(base), ...own } : own);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "record"}: ${issue.message}`,
  );
  throw simulatorError("SIMULATOR_SYSTEM_INVALID", `The system record is wrong: ${problems.join("; ")}`, {
    problems,
  });
}
