import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { InvalidArgumentError } from "commander";
import { parseProfile, PlannerError, profileFromDynamo, type Profile, type Slo } from "@stator/planner";
import { generateLoad, parseMooncakeTrace, SimulatorError, type GeneratedLoad } from "@stator/simulator";

/** `ttft=200,itl=10`, `ttft=0.2s,itl=10ms`, with `percentile=95` if wished; milliseconds where no unit is given. */
export function slo(text: string): Slo {
  const values: Record<string, number> = {};
  for (const pair of text.split(",")) {
    const [, key = "", number = "", unit] = /^(ttft|itl|percentile)=([\d.]+)(ms|s)?$/.exec(pair.trim()) ?? [];
    const value = Number(number) * (unit === "s" ? 1000 : 1);
    if (!(value > 0) || (key === "percentile" && (unit !== undefined || value < 50 || value > 99.9)))
      throw new InvalidArgumentError(
        "expected ttft=MS,itl=MS, such as ttft=200,itl=10 or ttft=0.2s,itl=10ms; percentile=50 to 99.9 may be added",
      );
    values[key] = value;
  }
  if (values["ttft"] === undefined || values["itl"] === undefined)
    throw new InvalidArgumentError("both ttft and itl are needed, such as ttft=200,itl=10");
  return {
    ttftMs: values["ttft"],
    itlMs: values["itl"],
    ...(values["percentile"] === undefined ? {} : { percentile: values["percentile"] }),
  };
}

/** Files of Dynamo's profiler, below the folder it writes. */
export const dynamoFiles: Readonly<Record<"prefill" | "decode", string>> = {
  prefill: path.join("selected_prefill_interpolation", "raw_data.npz"),
  decode: path.join("selected_decode_interpolation", "raw_data.npz"),
};

/** A profile.json, or a folder that Dynamo's profiler wrote. */
export function readProfile(file: string): Profile {
  if (!statSync(file).isDirectory()) {
    try {
      return parseProfile(JSON.parse(readFileSync(file, "utf8")));
    } catch (error) {
      if (!(error instanceof SyntaxError) && !PlannerError.isInstance(error)) throw error;
      throw new PlannerError({
        code: "PLANNER_PROFILE_INVALID",
        kind: "invalid",
        message: `${file} is no profile: ${error.message} Write one with \`stator profile --output ${path.basename(file)}\`.`,
        cause: error,
      });
    }
  }
  return profileFromDynamo({
    prefill: readFileSync(path.join(file, dynamoFiles.prefill)),
    decode: readFileSync(path.join(file, dynamoFiles.decode)),
  });
}

/** The requests of a trace file or of a generated load. */
export function loadOf(flags: { readonly trace?: string; readonly load?: string }): GeneratedLoad {
  if (flags.trace === undefined) return generateLoad(flags.load ?? "sine");
  const workload = parseMooncakeTrace(readFileSync(flags.trace, "utf8"));
  if (workload.length === 0)
    throw new SimulatorError({
      code: "SIMULATOR_RUN_INVALID",
      kind: "invalid",
      message: `${flags.trace} holds no requests.`,
    });
  return { workload, durationMs: (workload[workload.length - 1]?.atMs ?? 0) + 1 };
}
