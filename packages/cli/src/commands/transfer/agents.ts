import { Command } from "commander";
import { discoveryFrom } from "../../processes/discovery-from-layout.ts";
import { createTerminal, table } from "../../terminal.ts";
import { namespaceAgents } from "../../transfer/list-agents.ts";

interface Flags {
  namespace: string;
  discovery: string;
  json?: boolean;
}

export function agentsCommand(): Command {
  return new Command("agents")
    .description("the transfer agents of a namespace: regions, leases, peers and what they moved")
    .option("--namespace <name>", "whose", "default")
    .option("--discovery <address>", "file, redis://… or nats://…", "file")
    .option("--json", "print one JSON object")
    .action(async ({ namespace, discovery, json }: Flags) => {
      const terminal = createTerminal(json === true);
      await using agents = await namespaceAgents(namespace, await discoveryFrom(discovery));
      const reports = await agents.reports();
      terminal.json(reports);
      if (reports.length === 0) {
        terminal.print(`no process serves transfer control in namespace ${namespace}`);
        return;
      }
      const header = ["process", "transports", "regions", "bytes", "leases", "peers", "moved"];
      const rows = reports.map(
        ({ process, transports, regions, regionBytes, leases, peers, totals, failures }) => [
          ...[process, transports.join(" "), regions, regionBytes, leases, peers.length],
          [
            ...totals.map(
              ({ path, operation, transfers, bytes }) => `${path} ${operation} ${transfers}× ${bytes} B`,
            ),
            ...Object.entries(failures).map(([code, count]) => `${code} ${count}×`),
          ].join(", "),
        ],
      );
      terminal.print(table([header, ...rows]));
    });
}
