import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { InvalidArgumentError } from "commander";
import { parseProfile, profileFromDynamo, type Profile, type Slo } from "@stator/planner";
import { generateLoad, parseMooncakeTrace, type GeneratedLoad } from "@stator/simulator";

/** `ttft=200,itl=10`, with `percentile=95` if wished; in milliseconds. */
export function slo(text: string): Slo {
  const values: Record<string, number> = {};
  for (const pair of text.split(",")) {
    const [key = "", value = ""] = pair.split("=");
    const ms = Number(value);
    if (!["ttft", "itl", "percentile"].includes(key) || value === "" || !(ms > 0))
      throw new InvalidArgumentError("expected ttft=MS,itl=MS, such as ttft=200,itl=10");
    values[key] = ms;
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
  if (!statSync(file).isDirectory()) return parseProfile(JSON.parse(readFileSync(file, "utf8")));
  return profileFromDynamo({
    prefill: readFileSync(path.join(file, dynamoFiles.prefill)),
    decode: readFileSync(path.join(file, dynamoFiles.decode)),
  });
}

/** The requests of a trace file or of a generated load. */
export function loadOf(flags: { readonly trace?: string; readonly load?: string }): GeneratedLoad {
  if (flags.trace === undefined) return generateLoad(flags.load ?? "sine");
  const workload = parseMooncakeTrace(readFileSync(flags.trace, "utf8"));
  return { workload, durationMs: (workload[workload.length - 1]?.atMs ?? 0) + 1 };
}
