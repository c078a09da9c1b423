import type { BackendName } from "@stator/simulator/performance-model";
import type { Candidate, WorkerGroup } from "../../search/candidate.ts";
import type { Target, WorkloadOptions } from "../../target.ts";
import type { EngineSettings } from "./engine-settings.ts";
import { engineSettings } from "./engine-settings.ts";
import { writeFlags } from "./flag-table.ts";
import type { EngineOverrides, RoleOverrides } from "./overrides.ts";
import { overrideFlags } from "./overrides.ts";
import { sglangFlags } from "./sglang.ts";
import { trtllmFlags } from "./trtllm.ts";
import { vllmFlags } from "./vllm.ts";

/** Engine releases that generators write for when none is named. */
export const defaultEngineVersions: Readonly<Record<BackendName, string>> = {
  vllm: "0.19",
  sglang: "0.5.9",
  trtllm: "1.2",
};

/** Where an engine that has its host for itself publishes its KV events. */
export const kvFeed = "tcp://127.0.0.1:5557?replay=6557";

export interface EngineCommand {
  /** argv; `{port}` and `{rank}` are filled in by the supervisor. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly connector: string | undefined;
  readonly kvEvents: string | undefined;
}

/** How one worker of a group is started. */
export function engineCommand(
  group: WorkerGroup,
  mode: Candidate["mode"],
  target: Target,
  workload: WorkloadOptions,
  version?: string,
  overrides: RoleOverrides = {},
): EngineCommand {
  const settings = engineSettings(group, mode, target, workload);
  return commandOf(
    target.backend,
    settings,
    version ?? defaultEngineVersions[target.backend],
    overrides[group.role],
  );
}

/** The command line of settings. */
export function commandOf(
  backend: BackendName,
  settings: EngineSettings,
  version: string,
  overrides: EngineOverrides = {},
): EngineCommand {
  const found = plainCommand(backend, settings, version);
  return {
    ...found,
    command: overrideFlags(found.command, overrides.flags),
    environment: { ...found.environment, ...overrides.environment },
  };
}

function plainCommand(backend: BackendName, settings: EngineSettings, version: string): EngineCommand {
  const isSplit = settings.role !== "both";
  if (backend === "vllm")
    return {
      command: [
        "vllm",
        "serve",
        settings.model,
        "--port",
        "{port}",
        ...writeFlags(vllmFlags, settings, version),
      ],
      environment: isSplit
        ? { VLLM_NIXL_SIDE_CHANNEL_PORT: settings.role === "prefill" ? "5600" : "5700" }
        : {},
      connector: isSplit ? "nixl" : undefined,
      kvEvents: kvFeed,
    };
  if (backend === "sglang")
    return {
      command: [
        "python",
        "-m",
        "sglang.launch_server",
        "--model-path",
        settings.model,
        "--port",
        "{port}",
        ...writeFlags(sglangFlags, settings, version),
      ],
      environment: {},
      connector: isSplit ? "nixl" : undefined,
      kvEvents: kvFeed,
    };
  const file = `${settings.role === "both" ? "aggregated" : settings.role}.yaml`;
  return {
    command: [
      "trtllm-serve",
      settings.model,
      "--port",
      "{port}",
      ...writeFlags(trtllmFlags, settings, version).map((word) => (word === "{config}" ? file : word)),
    ],
    environment: {},
    connector: isSplit ? "ucx" : undefined,
    kvEvents: undefined,
  };
}
