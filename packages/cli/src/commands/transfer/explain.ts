import { Command } from "commander";
import { positive } from "../../options.ts";
import { discoveryFrom } from "../../processes/discovery-from-layout.ts";
import { createTerminal, table } from "../../terminal.ts";
import { explainPath, explainTransports, type TransportReport } from "../../transfer/explain.ts";
import { namespaceAgents } from "../../transfer/list-agents.ts";
import { transportNames } from "../../transfer/transports.ts";

interface Flags {
  from?: string;
  to?: string;
  bytes: number;
  namespace: string;
  discovery: string;
  json?: boolean;
}

export function explainCommand(): Command {
  return new Command("explain")
    .description("which way bytes go between two workers, or between two processes here, and why not another")
    .option("--from <worker>", "a running worker; without it, two processes are started for it")
    .option("--to <worker>", "the other worker")
    .option("--bytes <n>", "to estimate the time for", positive, 1_048_576)
    .option("--namespace <name>", "of these workers", "default")
    .option("--discovery <address>", "of these workers: file, redis://… or nats://…", "file")
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const { from, to } = flags;
      if (from === undefined || to === undefined) {
        const reports = await explainTransports(transportNames);
        terminal.json(reports);
        terminal.print(table(reports.map(rowOf)));
        return;
      }
      await using agents = await namespaceAgents(flags.namespace, await discoveryFrom(flags.discovery));
      const way = await explainPath(agents.client(from), agents.client(to), flags.bytes);
      terminal.json(way);
      terminal.print(table(way.reports.map(rowOf)));
      terminal.print(
        way.chosen === undefined
          ? `no way leads from ${from} to ${to}`
          : `${from} reaches ${to} by ${way.chosen} (${way.path}), ${flags.bytes} bytes in about ${Math.round(way.estimatedMicros ?? 0)} µs`,
      );
    });
}

function rowOf({ transport, works, reason, path, isChosen }: TransportReport): string[] {
  return [transport, isChosen === true ? "chosen" : works ? "works" : "no", reason ?? path ?? ""];
}
