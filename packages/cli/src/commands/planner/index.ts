import { Command } from "commander";
import { backtestCommand } from "./backtest.ts";
import { replayCommand } from "./replay.ts";

/** `stator planner`: how many workers, now and for what is coming. */
export function plannerCommand(): Command {
  return new Command("planner")
    .description("enough workers for what is coming, never more than the budget")
    .addCommand(replayCommand())
    .addCommand(backtestCommand());
}
