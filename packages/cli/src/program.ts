import { readFileSync } from "node:fs";
import { Command } from "commander";
import { conformanceCommand } from "./commands/conformance.ts";
import { configureCommand } from "./commands/configure/index.ts";
import { frontendCommand } from "./commands/frontend.ts";
import { initCommand } from "./commands/init.ts";
import { loadCommand } from "./commands/load.ts";
import { plannerCommand } from "./commands/planner/index.ts";
import { profileCommand } from "./commands/profile.ts";
import { routerCommand } from "./commands/router.ts";
import { simulateCommand } from "./commands/simulate.ts";
import { transferCommand } from "./commands/transfer/index.ts";
import { upCommand } from "./commands/up.ts";
import { workerCommand } from "./commands/worker.ts";

/** The `stator` command with all its subcommands. */
export function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return new Command("stator")
    .description("Run, measure, plan and configure distributed LLM serving.")
    .version(version)
    .showHelpAfterError("(add --help for what there is)")
    .addCommand(upCommand())
    .addCommand(workerCommand())
    .addCommand(frontendCommand())
    .addCommand(loadCommand())
    .addCommand(routerCommand())
    .addCommand(transferCommand())
    .addCommand(plannerCommand())
    .addCommand(profileCommand())
    .addCommand(conformanceCommand())
    .addCommand(simulateCommand())
    .addCommand(configureCommand())
    .addCommand(initCommand(version));
}
