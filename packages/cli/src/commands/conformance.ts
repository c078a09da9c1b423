import { Command, Option } from "commander";
import { parseLayout } from "@stator/core";
import { positive } from "../options.ts";
import { runConformance, type ConformanceReport } from "../conformance/run-conformance.ts";
import type { ServerLayoutEngine } from "../processes/engine-beside-server.ts";

interface Flags {
  engine: ServerLayoutEngine["kind"];
  url: string;
  decodeUrl?: string;
  connector?: string;
  decodeConnector?: string;
  kvEvents?: string;
  contextTokens?: number;
  tokenizer?: string;
  servedModel?: string;
  vocabulary?: number;
  holdMs?: number;
  firstId: number;
  lastId: number;
  json?: boolean;
}

/** `stator conformance`: whether a live engine server keeps the contract that its adapter relies on. */
export function conformanceCommand(): Command {
  return new Command("conformance")
    .addOption(
      new Option("--engine <kind>", "which engine")
        .choices(["vllm", "sglang", "trtllm", "llama-server"])
        .makeOptionMandatory(),
    )
    .requiredOption("--url <url>", "address of the server")
    .option("--decode-url <url>", "a second server, to hand KV over to")
    .option("--connector <name>", "how the engine hands KV over, as for stator worker")
    .option("--decode-connector <name>", "the second server's, where it differs")
    .option("--kv-events <address>", "the engine's event feed, tcp://host:port[?replay=port]")
    .option("--context-tokens <n>", "where the server does not tell", Number)
    .option("--tokenizer <file>", "the model's tokenizer.json or GGUF file")
    .option("--served-model <name>", "the server's own name for the model; its first one when absent")
    .option("--vocabulary <n>", "ids are below it, where neither tokenizer nor server tells", positive)
    .option("--hold-ms <ms>", "how long prefill keeps KV that no decode reads", positive)
    .option("--first-id <id>", "least token id to use in prompts", Number, 1_000)
    .option("--last-id <id>", "greatest token id to use in prompts", Number, 30_000)
    .option("--json", "print the report as JSON")
    .action(async (flags: Flags) => {
      const report = await runConformance({
        engine: engineOf(flags, flags.url, flags.connector, flags.kvEvents),
        ...(flags.decodeUrl === undefined
          ? {}
          : {
              decode: engineOf(flags, flags.decodeUrl, flags.decodeConnector ?? flags.connector, undefined),
            }),
        firstId: flags.firstId,
        lastId: flags.lastId,
      });
      process.stdout.write(flags.json === true ? `${JSON.stringify(report, undefined, 2)}\n` : text(report));
      process.exit(report.failed > 0 ? 1 : 0);
    });
}

function engineOf(
  flags: Flags,
  url: string,
  connector: string | undefined,
  kvEvents: string | undefined,
): ServerLayoutEngine {
  const given = {
    kind: flags.engine,
    url,
    connector,
    kvEvents,
    contextTokens: flags.contextTokens,
    tokenizerPath: flags.tokenizer,
    servedModel: flags.servedModel,
    vocabulary: flags.vocabulary,
    holdMs: flags.holdMs,
  };
  const engine = JSON.parse(JSON.stringify(given)) as unknown;
  const layout = parseLayout({
    models: { model: { pools: { pool: { role: "both", replicas: 1, engine } } } },
  });
  return layout.models["model"]!.pools["pool"]!.engine as ServerLayoutEngine;
}

function text(report: ConformanceReport): string {
  const lines = report.cases.map(({ name, outcome, reason }) => {
    const mark = { passed: "holds", failed: "FAILS", skipped: "  -  " }[outcome];
    return `${mark}  ${name}${reason === undefined ? "" : `\n         ${reason.split("\n").join("\n         ")}`}`;
  });
  const { weightsDigest, contextTokens, blockTokens } = report.card;
  return [
    `${report.engine} at ${report.url}: ${weightsDigest}, ${contextTokens} tokens of context, blocks of ${blockTokens}`,
    "",
    ...lines,
    "",
    `${report.passed} hold, ${report.failed} fail, ${report.skipped} do not apply`,
    "",
  ].join("\n");
}
