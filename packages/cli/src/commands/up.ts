import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { closeOnSignal } from "@stator/runtime";
import { readLayout } from "../layout-file.ts";
import { count, port, positive } from "../options.ts";
import { createLogger } from "../processes/logger.ts";
import { createTerminal } from "../terminal.ts";
import { overrideLayout } from "../up/override-layout.ts";
import { up, type UpOptions } from "../up/up.ts";

interface Flags {
  port?: number;
  host?: string;
  prefill?: number;
  decode?: number;
  frontends?: number;
  model?: string;
  hostCacheMb?: number;
  diskCache?: string;
  diskCacheMb?: number;
  sharedCache?: string;
  engine?: "llama" | "simulated";
  toolCallFormat?: string;
  reasoningFormat?: string;
  namespace?: string;
  probe: "events" | "off";
  recordDecisions?: string;
  logLevel: UpOptions["logLevel"];
}

/** `stator up`: runs a layout on this machine. */
export function upCommand(): Command {
  return new Command("up")
    .argument("<layout>", "layout file, YAML or JSON")
    .option("--port <port>", "the frontend's; 0 picks one", port)
    .option("--host <address>", "interface of the frontend")
    .option("--prefill <n>", "prefill workers; 0 makes decode workers do both", count)
    .option("--decode <n>", "decode workers", count)
    .option("--frontends <n>", "frontend processes that share the port", positive)
    .option("--model <file.gguf>", "a GGUF file for the llama engines")
    .option("--host-cache-mb <n>", "llama: host memory of each worker for KV blocks, 0 for none", count)
    .option("--disk-cache <folder>", "llama: where workers keep KV blocks that outlive them")
    .option("--disk-cache-mb <n>", "llama: most megabytes of each worker in it", positive)
    .option("--shared-cache <name>", "llama: a `stator transfer store` of the namespace")
    .addOption(new Option("--engine <kind>", "another engine").choices(["llama", "simulated"]))
    .option("--tool-call-format <name>", "how the model writes calls to tools; `none`: they stay text")
    .option("--reasoning-format <name>", "how the model sets its thoughts apart; `none`: they stay text")
    .option(
      "--namespace <name>",
      "separates deployments; one of its own when neither flag nor layout names it",
    )
    .addOption(
      new Option("--probe <what>", "send each worker that joins a short prompt, to prove its KV events")
        .choices(["events", "off"])
        .default("events"),
    )
    .option(
      "--record-decisions <folder>",
      "write routing decisions, a file per pool; `stator simulate` replays them",
    )
    .addOption(
      new Option("--log-level <level>", "of all processes")
        .choices(["silent", "error", "warn", "info", "debug"])
        .default("warn"),
    )
    .action(async (file: string, flags: Flags) => {
      const terminal = createTerminal(false);
      const layout = overrideLayout(await readLayout(file, flags.namespace ?? `up-${process.pid}`), {
        ...(flags.port === undefined ? {} : { port: flags.port }),
        ...(flags.host === undefined ? {} : { host: flags.host }),
        ...(flags.prefill === undefined ? {} : { prefill: flags.prefill }),
        ...(flags.decode === undefined ? {} : { decode: flags.decode }),
        ...(flags.frontends === undefined ? {} : { frontends: flags.frontends }),
        ...(flags.model === undefined ? {} : { modelPath: path.resolve(flags.model) }),
        ...(flags.hostCacheMb === undefined ? {} : { hostCacheBytes: flags.hostCacheMb * 2 ** 20 }),
        ...(flags.diskCache === undefined ? {} : { diskCache: path.resolve(flags.diskCache) }),
        ...(flags.diskCacheMb === undefined ? {} : { diskCacheBytes: flags.diskCacheMb * 2 ** 20 }),
        ...(flags.sharedCache === undefined ? {} : { sharedCache: flags.sharedCache }),
        ...(flags.engine === undefined ? {} : { engine: flags.engine }),
        ...(flags.toolCallFormat === undefined ? {} : { toolCallFormat: flags.toolCallFormat }),
        ...(flags.reasoningFormat === undefined ? {} : { reasoningFormat: flags.reasoningFormat }),
        ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
      });
      const running = await up({
        layout,
        main: fileURLToPath(new URL("../main.js", import.meta.url)),
        logLevel: flags.logLevel,
        probe: flags.probe,
        ...(flags.recordDecisions === undefined
          ? {}
          : { recordDecisions: path.resolve(flags.recordDecisions) }),
        logger: createLogger(flags.logLevel, { process: "supervisor" }),
        onProgress: (ready, all) => terminal.progress(`starting processes: ${ready}/${all}`),
        onLine: (name, line) => {
          if (!/^(worker .* is ready|listening on )/.test(line)) process.stderr.write(`${name}: ${line}\n`);
        },
      });
      const [model] = Object.keys(layout.models);
      terminal.print(`listening on ${running.url}`);
      terminal.print(
        [
          "",
          `  processes  ${running.supervisor.processes.map(({ spec }) => spec.name).join(", ")}`,
          `  try it     curl -N ${running.url}/v1/chat/completions -H 'content-type: application/json' \\`,
          `               -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}'`,
          `  console    ${running.url}/console`,
          `  metrics    ${running.url}/metrics`,
          `  add one    npx stator worker --model ${model} --role decode --namespace ${layout.namespace}`,
          "  stop       Ctrl-C",
          "",
        ].join("\n"),
      );
      await closeOnSignal(running);
      terminal.print("stopped");
      process.exit(0);
    });
}
