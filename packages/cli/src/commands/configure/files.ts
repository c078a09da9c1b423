import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Command, Option } from "commander";
import {
  compare,
  filesOf,
  generate,
  resolveTarget,
  search,
  support,
  validate,
  type EstimateOptions,
  type SupportRow,
  type ValidationReport,
} from "@stator/configurator";
import { positive } from "../../options.ts";
import { createTerminal, table } from "../../terminal.ts";
import {
  limitsOf,
  targetOf,
  withLimits,
  withTarget,
  withWorkload,
  workloadOf,
  type LimitFlags,
  type TargetFlags,
  type WorkloadFlags,
} from "./flags.ts";

type GenerateFlags = TargetFlags &
  WorkloadFlags &
  LimitFlags & {
    gpus: number;
    out: string;
    search: boolean;
    engineVersion?: string;
    image?: string;
    json?: boolean;
  };

/** `stator configure generate`: everything to run a layout, as files. */
export function generateCommand(): Command {
  return withLimits(
    withWorkload(
      withTarget(
        new Command("generate").description(
          "layout, graph, engine configs, manifests and a benchmark script, as files",
        ),
      ),
    ),
  )
    .requiredOption("--gpus <n>", "the whole budget", positive)
    .requiredOption("--out <folder>", "where to write")
    .option("--no-search", "a sane aggregated deployment instead of the best one found")
    .option("--engine-version <version>", "engine release to write for")
    .option("--image <name>", "container image of the engine")
    .action(async (flags: GenerateFlags) => {
      const terminal = createTerminal(flags.json === true);
      const target = targetOf(flags);
      const workload = workloadOf(flags);
      const limits = limitsOf(flags);
      const options = {
        limits,
        ...(flags.engineVersion === undefined ? {} : { engineVersion: flags.engineVersion }),
        ...(flags.image === undefined ? {} : { image: flags.image }),
      };
      const files = flags.search
        ? filesOf(
            search({ ...target, ...workload, ...limits, gpus: flags.gpus, top: 1 }).layouts[0]!,
            resolveTarget(target),
            workload,
            options,
          )
        : generate({ ...target, ...workload, ...options, gpus: flags.gpus }).files;
      for (const { name, text } of files) {
        const file = path.join(flags.out, name);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, text);
      }
      terminal.json({ folder: flags.out, files: files.map(({ name }) => name) });
      terminal.print(files.map(({ name }) => path.join(flags.out, name)).join("\n"));
    });
}

/** `stator configure compare`: layouts of a JSON file side by side. */
export function compareCommand(): Command {
  return new Command("compare")
    .description("layouts side by side")
    .argument("<file.json>", "an object of named `estimate` options")
    .option("--json", "print one JSON object")
    .action(async (file: string, flags: { json?: boolean }) => {
      const terminal = createTerminal(flags.json === true);
      const result = compare(JSON.parse(await readFile(file, "utf8")) as Record<string, EstimateOptions>);
      terminal.json(result);
      const header = ["", "GPUs", "TTFT ms", "TPOT ms", "tok/s/GPU", "tok/s/user"];
      terminal.print(
        table([
          header,
          ...result.estimates.map((e) => [
            e.name,
            e.gpus,
            Math.round(e.ttftMs),
            Math.round(e.tpotMs * 10) / 10,
            Math.round(e.tokensPerSecondPerGpu),
            Math.round(e.tokensPerSecondPerUser),
          ]),
        ]),
      );
    });
}

/** `stator configure support`: what is known of models, systems and engines. */
export function supportCommand(): Command {
  return new Command("support")
    .description("which models, systems and engines are known, and what fits")
    .option("--model <name>", "one model")
    .option("--system <name>", "one system")
    .addOption(new Option("--backend <engine>", "one engine").choices(["trtllm", "vllm", "sglang"]))
    .option("--json", "print one JSON object")
    .action((flags: { model?: string; system?: string; backend?: SupportRow["backend"]; json?: boolean }) => {
      const terminal = createTerminal(flags.json === true);
      const { json: _json, ...filter } = flags;
      const rows = support(filter);
      terminal.json({ rows });
      const header = [
        "model",
        "system",
        "backend",
        "quantization",
        "weights GiB",
        "fewest GPUs",
        "calibration",
      ];
      terminal.print(
        table([
          header,
          ...rows.map((row) => [
            row.model,
            row.system,
            row.backend,
            row.quantization,
            Math.round(row.weightGib),
            row.smallestGpus ?? "–",
            row.isSupported ? row.calibration : row.problems.join("; "),
          ]),
        ]),
      );
    });
}

/** `stator configure validate`: predictions against measured rows. */
export function validateCommand(): Command {
  return new Command("validate")
    .description("score predictions against measured deployments")
    .requiredOption("--measured <file.csv>", "rows in AIConfigurator's silicon format")
    .option("--json", "print one JSON object")
    .action(async (flags: { measured: string; json?: boolean }) => {
      const terminal = createTerminal(flags.json === true);
      const report = validate(await readFile(flags.measured, "utf8"));
      terminal.json(report);
      terminal.print(describe(report));
    });
}

function describe(report: ValidationReport): string {
  const row = (name: string, score: ValidationReport["overall"]): (string | number)[] => [
    name,
    score.rows,
    ...[score.tpotMape, score.tpotMedian, score.ttftMape, score.ttftMedian].map((value) => value.toFixed(1)),
  ];
  const partitions = [report.byBackend, report.bySystem, report.byModel, report.byMode].flatMap((scores) =>
    Object.entries(scores).map(([name, score]) => row(name, score)),
  );
  return [
    table([
      ["", "rows", "TPOT MAPE %", "median", "TTFT MAPE %", "median"],
      row("overall", report.overall),
      row("with excluded", report.withExcluded),
      ...partitions,
    ]),
    "",
    `${report.excluded.rows} rows (${report.excluded.share.toFixed(1)} %) excluded by inputs and our own prediction: ${
      Object.entries(report.excluded.reasons)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(", ") || "none"
    }`,
    `skipped: ${
      Object.entries(report.skipped)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(", ") || "none"
    }`,
  ].join("\n");
}
