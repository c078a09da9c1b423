import { readFileSync } from "node:fs";
import { Command } from "commander";

/** A subcommand before anything of it is loaded. */
interface Subcommand {
  readonly name: string;
  /** One line of help. */
  readonly does: string;
  load(version: string): Promise<Command>;
}

/** In the order of help. Each is loaded when it is named: a worker needs no planner, and help needs none of them. */
const subcommands: readonly Subcommand[] = [
  {
    name: "up",
    does: "run a layout on this machine: every worker and frontend a supervised process",
    load: async () => (await import("./commands/up.ts")).upCommand(),
  },
  {
    name: "worker",
    does: "run one engine process and serve it to the namespace",
    load: async () => (await import("./commands/worker.ts")).workerCommand(),
  },
  {
    name: "frontend",
    does: "run one frontend process for a layout whose workers run elsewhere",
    load: async () => (await import("./commands/frontend.ts")).frontendCommand(),
  },
  {
    name: "load",
    does: "send load to any OpenAI-compatible server; TTFT, ITL, goodput",
    load: async () => (await import("./commands/load.ts")).loadCommand(),
  },
  {
    name: "router",
    does: "the KV-aware decision as a service: RouterService over Connect/gRPC, and the Mooncake indexer API",
    load: async () => (await import("./commands/router.ts")).routerCommand(),
  },
  {
    name: "transfer",
    does: "how fast KV moves between processes, by which way, and who keeps it",
    load: async () => (await import("./commands/transfer/index.ts")).transferCommand(),
  },
  {
    name: "planner",
    does: "enough workers for what is coming, never more than the budget",
    load: async () => (await import("./commands/planner/index.ts")).plannerCommand(),
  },
  {
    name: "profile",
    does: "measure one worker for the planner, or take its profile from the performance model",
    load: async () => (await import("./commands/profile.ts")).profileCommand(),
  },
  {
    name: "conformance",
    does: "check a live engine server against the contract of an engine",
    load: async () => (await import("./commands/conformance.ts")).conformanceCommand(),
  },
  {
    name: "simulate",
    does: "a layout under a trace or load in virtual time: TTFT, ITL, throughput, what if",
    load: async () => (await import("./commands/simulate.ts")).simulateCommand(),
  },
  {
    name: "configure",
    does: "which layout, how many GPUs, with error bars",
    load: async () => (await import("./commands/configure/index.ts")).configureCommand(),
  },
  {
    name: "init",
    does: "start a project: graph, processes, layout, and a test that kills a worker",
    load: async (version) => (await import("./commands/init.ts")).initCommand(version),
  },
];

/**
 * The `stator` command. Subcommands that `args` do not name are there by name and description only.
 *
 * @param args what will be parsed, without node and script. Default: all subcommands are loaded.
 */
export async function createProgram(args?: readonly string[]): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const program = new Command("stator")
    .description("Run, measure, plan and configure distributed LLM serving.")
    .version(version);
  for (const { name, does, load } of subcommands) {
    const isNamed = args === undefined || args.includes(name);
    const command = isNamed ? await load(version) : new Command(name);
    program.addCommand(command.description(does));
  }
  refuseWithTwo(program);
  return program;
}

/** What is wrong on the command line ends with 2, as what is wrong in a file does; commander's own code is 1. */
function refuseWithTwo(command: Command): void {
  command.showHelpAfterError("(add --help for what there is)");
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
  for (const subcommand of command.commands) refuseWithTwo(subcommand);
}
