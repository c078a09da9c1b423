import { Command } from "commander";
import { runLoad, type LoadReport } from "../load/load.ts";
import { bar, createTerminal, table } from "../terminal.ts";
import { duration, number, positive } from "../options.ts";

interface Flags {
  url: string;
  model?: string;
  endpoint: "chat" | "completions";
  requests?: number;
  duration?: number;
  concurrency: number;
  rate?: number;
  input: number;
  shared: number;
  prefixGroups: number;
  output: number;
  temperature: number;
  ttft?: number;
  itl?: number;
  apiKey?: string;
  seed: number;
  stopAtEos?: boolean;
  json?: boolean;
}

/** `stator load`: measures any OpenAI-compatible server from the outside. */
export function loadCommand(): Command {
  return new Command("load")
    .option("--url <url>", "server address", "http://127.0.0.1:8000")
    .option("--model <name>", "model; the server's first when absent")
    .option("--endpoint <chat|completions>", "which API", "chat")
    .option("-n, --requests <n>", "requests in all (default 100)", positive)
    .option("--duration <time>", "or: for how long, such as 30s", duration)
    .option("-c, --concurrency <n>", "closed loop: requests at once", positive, 8)
    .option("--rate <per second>", "open loop: Poisson arrivals per second", number)
    .option("--input <words>", "words of a prompt", positive, 64)
    .option("--shared <words>", "words that prompts share", number, 0)
    .option("--prefix-groups <n>", "how many different shared beginnings", positive, 1)
    .option("--output <tokens>", "output tokens of a request", positive, 32)
    .option("--stop-at-eos", "let the model end earlier")
    .option("--temperature <t>", "sampling temperature", number, 0)
    .option("--ttft <ms>", "SLO: time to first token", number)
    .option("--itl <ms>", "SLO: mean time between tokens", number)
    .option("--api-key <key>", "bearer token")
    .option("--seed <n>", "seed of prompts and arrivals", number, 1)
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const controller = new AbortController();
      process.once("SIGINT", () => controller.abort());
      const total = flags.requests ?? (flags.duration === undefined ? 100 : undefined);
      const report = await runLoad({
        url: flags.url,
        endpoint: flags.endpoint,
        concurrency: flags.concurrency,
        inputWords: flags.input,
        sharedWords: flags.shared,
        prefixGroups: flags.prefixGroups,
        outputTokens: flags.output,
        temperature: flags.temperature,
        seed: flags.seed,
        ignoreEos: flags.stopAtEos !== true,
        signal: controller.signal,
        ...(flags.model === undefined ? {} : { model: flags.model }),
        ...(flags.requests === undefined ? {} : { requests: flags.requests }),
        ...(flags.duration === undefined ? {} : { durationMs: flags.duration }),
        ...(flags.rate === undefined ? {} : { ratePerSecond: flags.rate }),
        ...(flags.apiKey === undefined ? {} : { apiKey: flags.apiKey }),
        slo: {
          ...(flags.ttft === undefined ? {} : { ttftMs: flags.ttft }),
          ...(flags.itl === undefined ? {} : { itlMs: flags.itl }),
        },
        onProgress({ finished, failed, outputTokens, elapsedMs }) {
          const ratio = total === undefined ? elapsedMs / flags.duration! : finished / total;
          const rate = Math.round((outputTokens / elapsedMs) * 1000);
          terminal.progress(`${bar(ratio)}  ${finished} done, ${failed} failed, ${rate} tokens/s`);
        },
      });
      terminal.json(report);
      terminal.print(describe(report));
      if (report.failed > 0) process.exitCode = 1;
    });
}

function describe(report: LoadReport): string {
  const row = (name: string, d: LoadReport["ttftMs"]): (string | number)[] => [
    name,
    d.mean,
    d.p50,
    d.p90,
    d.p99,
    d.max,
  ];
  const failures = Object.entries(report.errors).map(([error, count]) => `  ${count} × ${error}`);
  return [
    `${report.requests} requests to ${report.model} at ${report.url} in ${(report.durationMs / 1000).toFixed(1)} s, ${report.failed} failed`,
    ...failures,
    "",
    table([
      ["", "mean", "p50", "p90", "p99", "max"],
      row("TTFT ms", report.ttftMs),
      row("ITL ms", report.itlMs),
      row("request ms", report.requestMs),
      row("input tokens", report.inputTokens),
      row("output tokens", report.outputTokens),
    ]),
    "",
    `${report.requestsPerSecond} requests/s, ${report.outputTokensPerSecond} output tokens/s, ${Math.round(report.cachedRatio * 100)} % of input tokens cached, goodput ${report.goodputPerSecond}/s`,
  ].join("\n");
}
