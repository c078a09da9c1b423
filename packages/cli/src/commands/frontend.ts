import cluster from "node:cluster";
import { Command, Option } from "commander";
import { port } from "../options.ts";
import { readLayout } from "../layout-file.ts";
import { overrideLayout } from "../up/override-layout.ts";
import { runFrontend, type FrontendProcessOptions } from "../processes/run-frontend.ts";

interface Flags {
  port?: number;
  host?: string;
  gpuMetrics?: boolean;
  discovery?: string;
  toolCallFormat?: string;
  reasoningFormat?: string;
  probe: "events" | "off";
  recordDecisions?: string;
  logLevel: FrontendProcessOptions["logLevel"];
}

/** `stator frontend`: one frontend process of a layout whose workers run elsewhere. */
export function frontendCommand(): Command {
  return new Command("frontend")
    .argument("<layout>", "layout file")
    .option("--port <port>", "0 picks one; the layout's when absent", port)
    .option("--host <address>", "interface to listen on")
    .option("--discovery <address>", "file, redis://… or nats://…; the layout's when absent")
    .option("--tool-call-format <name>", "how the model writes calls to tools; `none`: they stay text")
    .option("--reasoning-format <name>", "how the model sets its thoughts apart; `none`: they stay text")
    .addOption(
      new Option("--probe <what>", "send each worker that joins a short prompt, to prove its KV events")
        .choices(["events", "off"])
        .default("events"),
    )
    .option(
      "--record-decisions <folder>",
      "write routing decisions, a file per pool; `stator simulate` replays them",
    )
    .option("--gpu-metrics", "measure the GPUs of this machine; one process of a machine does")
    .addOption(
      new Option("--log-level <level>").choices(["silent", "error", "warn", "info", "debug"]).default("warn"),
    )
    .action(async (file: string, flags: Flags) => {
      const given = await readLayout(file);
      const { toolCallFormat, reasoningFormat } = flags;
      const read = overrideLayout(given, {
        ...(toolCallFormat === undefined ? {} : { toolCallFormat }),
        ...(reasoningFormat === undefined ? {} : { reasoningFormat }),
      });
      const layout =
        flags.discovery === undefined
          ? read
          : { ...read, planes: { ...read.planes, discovery: flags.discovery } };
      await runFrontend({
        layout,
        port: flags.port ?? layout.frontend.port,
        host: flags.host ?? layout.frontend.host,
        logLevel: flags.logLevel,
        probe: flags.probe,
        ...(flags.recordDecisions === undefined ? {} : { recordDecisions: flags.recordDecisions }),
        // Of several that share a port, the first.
        measuresGpus: flags.gpuMetrics === true && (cluster.worker?.id ?? 1) === 1,
        onReady(url, withoutWorkers) {
          process.stdout.write(`listening on ${url}\n`);
          for (const model of withoutWorkers)
            process.stderr.write(`no worker serves ${model} yet; requests wait 8 s for one, then get 503\n`);
        },
      });
    });
}
