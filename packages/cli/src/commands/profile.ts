import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Command, Option } from "commander";
import {
  costEffectiveWorkers,
  interpolationError,
  parseProfile,
  profileToDynamo,
  type DecodePoint,
  type PrefillPoint,
  type Profile,
  type Slo,
  type WorkerCandidate,
  type WorkerSuggestion,
} from "@stator/planner";
import { StatorError } from "@stator/core";
import { modelledTimes, profileOfTimes } from "@stator/simulator";
import type { BackendName } from "@stator/simulator/performance-model";
import { runLoad, type LoadReport } from "../load/load.ts";
import { positive } from "../options.ts";
import { bar, createTerminal, table, type Terminal } from "../terminal.ts";
import { dynamoFiles, readProfile, slo } from "./planner/flags.ts";
import { profilePage } from "../planner/profile-page.ts";
import { forgetUnfinished, unfinishedProfile } from "../planner/unfinished-profile.ts";

interface Flags {
  url?: string;
  model?: string;
  system: string;
  quantization: string;
  backend: BackendName;
  tensor: number;
  output?: string;
  npz?: string;
  plot?: string;
  inputs: number[];
  concurrency: number[];
  contexts: number[];
  outputTokens: number;
  maxKvTokens?: number;
  apiKey?: string;
  slo?: Slo;
  isl: number;
  osl: number;
  against?: string[];
  json?: boolean;
}

/** Tensor parallelism that the performance model is asked for when an engine configuration is to be suggested. */
const suggestedTensors = [1, 2, 4, 8];

/** `stator profile`: what one worker can do, measured over HTTP or taken from the performance model. */
export function profileCommand(): Command {
  return new Command("profile")
    .option("--url <url>", "measure this OpenAI-compatible server; the performance model when absent")
    .option("--model <name>", "model; the server's first, or meta-llama/Llama-3.1-8B")
    .option("--system <name>", "performance model: h200, b200 …", "h200")
    .option("--quantization <name>", "performance model: fp8, bf16 …", "fp8")
    .addOption(
      new Option("--backend <engine>", "performance model: which engine")
        .choices(["trtllm", "vllm", "sglang"])
        .default("vllm"),
    )
    .option("--tensor <n>", "GPUs of one worker", positive, 1)
    .option("-o, --output <file.json>", "write it here; a measurement that was cut off goes on from here")
    .option("--npz <folder>", "also write Dynamo's two npz files below this folder")
    .option("--plot <file.html>", "also draw TTFT and ITL")
    .option("--inputs <words,…>", "measured: prompt lengths", list, [32, 128, 512, 1024, 2048])
    .option("--contexts <words,…>", "measured: prompt lengths while decoding", list, [128, 1024])
    .option("--concurrency <n,…>", "measured: requests at once", list, [1, 2, 4, 8, 16, 32])
    .option("--output-tokens <n>", "measured: output tokens of a request", positive, 64)
    .option("--max-kv-tokens <n>", "measured: tokens of KV that the worker holds", positive)
    .option("--api-key <key>", "bearer token")
    .option(
      "--slo <ttft=MS,itl=MS>",
      "also suggest the engine configuration per role that does most per GPU",
      slo,
    )
    .option("--isl <tokens>", "suggestion: mean prompt", positive, 3000)
    .option("--osl <tokens>", "suggestion: mean answer", positive, 300)
    .option(
      "--against <profile.json…>",
      "suggestion: profiles of other configurations; modelled tensor 1, 2, 4, 8 when absent",
    )
    .option("--json", "print the profile")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const profile = flags.url === undefined ? modelled(flags) : await measured(flags, flags.url, terminal);
      if (flags.output !== undefined) {
        writeFileSync(flags.output, `${JSON.stringify(profile, undefined, 2)}\n`);
        if (flags.url !== undefined) forgetUnfinished(flags.output);
      }
      if (flags.npz !== undefined) writeNpzFiles(flags.npz, profile);
      if (flags.plot !== undefined) writeFileSync(flags.plot, profilePage(profile));
      const suggestion =
        flags.slo === undefined
          ? undefined
          : costEffectiveWorkers(candidatesOf(flags, profile), flags.slo, {
              inputTokens: flags.isl,
              outputTokens: flags.osl,
            });
      terminal.json(suggestion === undefined ? profile : { profile, suggestion });
      terminal.print(describe(profile));
      if (suggestion !== undefined) terminal.print(describeSuggestion(suggestion, flags));
    });
}

function writeNpzFiles(folder: string, profile: Profile): void {
  const files = profileToDynamo(profile);
  for (const role of ["prefill", "decode"] as const) {
    const file = path.join(folder, dynamoFiles[role]);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, files[role]);
  }
}

function list(text: string): number[] {
  return text.split(",").map((part) => positive(part.trim()));
}

function modelled(flags: Flags): Profile {
  const model = flags.model ?? "meta-llama/Llama-3.1-8B";
  const { system, quantization, backend, tensor } = flags;
  return profileOfTimes(modelledTimes({ model, system, quantization, backend, tensor }), model);
}

function candidatesOf(flags: Flags, profile: Profile): WorkerCandidate[] {
  if (flags.against !== undefined || flags.url !== undefined)
    return [
      { name: flags.output ?? profile.source ?? "this", profile },
      ...(flags.against ?? []).map((file) => ({ name: file, profile: readProfile(file) })),
    ];
  return suggestedTensors.flatMap((tensor) => {
    try {
      return [{ name: `tensor ${tensor}`, profile: modelled({ ...flags, tensor }) }];
    } catch (error) {
      // The model does not fit on so few GPUs, or does not divide into so many.
      if (!StatorError.isInstance(error)) throw error;
      return [];
    }
  });
}

function describeSuggestion(suggestion: WorkerSuggestion, flags: Flags): string {
  return (["prefill", "decode"] as const)
    .map((role) =>
      [
        "",
        `${role}, ${flags.isl} in and ${flags.osl} out: ${suggestion[role][0]!.tokensPerSecondPerGpu > 0 ? `${suggestion[role][0]!.name} does most per GPU` : `none keeps the objective; ${suggestion[role][0]!.name} is the fastest`}`,
        table([
          [
            "",
            "GPUs",
            "at once",
            role === "prefill" ? "TTFT ms" : "ITL ms",
            "tokens/s/GPU within the objective",
          ],
          ...suggestion[role].map((one) => [
            one.name,
            one.gpus,
            one.concurrency,
            one.latencyMs.toFixed(2),
            Math.round(one.tokensPerSecondPerGpu),
          ]),
        ]),
      ].join("\n"),
    )
    .join("\n");
}

async function measured(flags: Flags, url: string, terminal: Terminal): Promise<Profile> {
  const mostWords = Math.max(...flags.contexts) * Math.max(...flags.concurrency);
  const maxKvTokens = flags.maxKvTokens ?? Math.max(mostWords * 2, 100_000);
  const { model, outputTokens } = flags;
  const known = unfinishedProfile(flags.output, { url, model, outputTokens, maxKvTokens });
  if (known.count > 0) terminal.print(`going on from ${known.count} points in ${known.file}`);
  const controller = new AbortController();
  const stop = (): void => {
    if (known.file !== undefined && known.count > 0)
      process.stderr.write(
        `\n${known.count} points are kept in ${known.file}: the same command goes on from there\n`,
      );
    controller.abort(
      new StatorError({
        code: "PROFILE_STOPPED",
        kind: "cancelled",
        message: "The measurement was stopped.",
      }),
    );
  };
  process.once("SIGINT", stop);
  const all = flags.inputs.length + flags.contexts.length * flags.concurrency.length;
  let done = 0;
  let isWarm = false;

  const measure = async <T extends PrefillPoint | DecodePoint>(
    key: string,
    load: {
      readonly inputWords: number;
      readonly outputTokens: number;
      readonly concurrency: number;
      readonly requests: number;
    },
    point: (report: LoadReport) => T,
  ): Promise<T> => {
    terminal.progress(`${bar(done / all)}  ${key}`);
    let measuredPoint = known.get(key);
    if (measuredPoint === undefined) {
      const run = async (seed: number, requests: number): Promise<LoadReport> => {
        const report = await runLoad({
          url,
          ...load,
          requests,
          signal: controller.signal,
          seed,
          ignoreEos: true,
          ...(model === undefined ? {} : { model }),
          ...(flags.apiKey === undefined ? {} : { apiKey: flags.apiKey }),
        });
        controller.signal.throwIfAborted();
        return report;
      };
      // The first request of a server pays for connections, compilation and allocation: it is nobody's TTFT.
      if (!isWarm) await run(1000 + all, 1);
      isWarm = true;
      const report = await run(1 + done, load.requests);
      measuredPoint = point(report);
      known.add(key, measuredPoint, report.model);
    }
    done += 1;
    return measuredPoint as T;
  };

  const prefill: PrefillPoint[] = [];
  for (const inputWords of flags.inputs)
    prefill.push(
      await measure(
        `prefill of ${inputWords} words`,
        { inputWords, outputTokens: 2, concurrency: 1, requests: 3 },
        (report) => ({ inputTokens: report.inputTokens.mean, ttftMs: report.ttftMs.p50 }),
      ),
    );
  const decode: DecodePoint[] = [];
  for (const inputWords of flags.contexts)
    for (const concurrency of flags.concurrency)
      decode.push(
        await measure(
          `${concurrency} at once of ${inputWords} words`,
          { inputWords, outputTokens: flags.outputTokens, concurrency, requests: 2 * concurrency },
          (report) => {
            const contextTokens = Math.round(report.inputTokens.mean + flags.outputTokens / 2);
            return {
              kvUsage: Math.min(1, (concurrency * contextTokens) / maxKvTokens),
              contextTokens,
              // Of a busy machine several tokens arrive at once: their median gap may be nothing.
              itlMs: report.itlMs.mean,
            };
          },
        ),
      );
  process.off("SIGINT", stop);
  const name = known.model ?? model;
  return parseProfile({
    version: 1,
    ...(name === undefined ? {} : { model: name }),
    source: `measured at ${url}, ${new Date().toISOString()}`,
    prefill: { gpusPerWorker: flags.tensor, points: prefill },
    decode: { gpusPerWorker: flags.tensor, maxKvTokens, points: sameContexts(decode, flags) },
  });
}

/** Prompts of a given number of words differ by a token or two: one context for each length asked for. */
function sameContexts(points: readonly DecodePoint[], { contexts, concurrency }: Flags): DecodePoint[] {
  return contexts.flatMap((_, i) => {
    const own = points.slice(i * concurrency.length, (i + 1) * concurrency.length);
    const contextTokens = Math.round(own.reduce((sum, point) => sum + point.contextTokens, 0) / own.length);
    return own.map((point) => ({ ...point, contextTokens }));
  });
}

function describe(profile: Profile): string {
  const error = interpolationError(profile);
  const context = profile.decode.points[0]!.contextTokens;
  return [
    `${profile.model ?? "model"}: ${profile.source ?? ""}`,
    "",
    table([
      ["input tokens", "TTFT ms"],
      ...profile.prefill.points.map((point) => [Math.round(point.inputTokens), point.ttftMs.toFixed(1)]),
    ]),
    "",
    table([
      [`KV usage at ${context} tokens`, "ITL ms"],
      ...profile.decode.points
        .filter((point) => point.contextTokens === context)
        .map((point) => [`${(point.kvUsage * 100).toFixed(1)} %`, point.itlMs.toFixed(2)]),
    ]),
    "",
    `${profile.decode.maxKvTokens} tokens of KV; left out one by one, points are met within ${error.ttftMape.toFixed(1)} % (TTFT) and ${error.itlMape.toFixed(1)} % (ITL)`,
  ].join("\n");
}
