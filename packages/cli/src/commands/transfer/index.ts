import { Command } from "commander";
import { agentsCommand } from "./agents.ts";
import { benchCommand } from "./bench.ts";
import { explainCommand } from "./explain.ts";
import { storeCommand } from "./store.ts";

/** `stator transfer`: how fast KV moves, by which way, who moves it, and a store that keeps it for all. */
export function transferCommand(): Command {
  return new Command("transfer")
    .addCommand(benchCommand())
    .addCommand(explainCommand())
    .addCommand(agentsCommand())
    .addCommand(storeCommand());
}
