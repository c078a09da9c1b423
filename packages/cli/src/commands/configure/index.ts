import { Command } from "commander";
import { estimateCommand } from "./estimate.ts";
import { compareCommand, generateCommand, supportCommand, validateCommand } from "./files.ts";
import { recommendCommand } from "./recommend.ts";
import { searchCommand } from "./search.ts";
import { webCommand } from "./web.ts";

/** `stator configure`: which layout, how many GPUs. */
export function configureCommand(): Command {
  return new Command("configure")
    .addCommand(searchCommand())
    .addCommand(recommendCommand())
    .addCommand(estimateCommand())
    .addCommand(compareCommand())
    .addCommand(generateCommand())
    .addCommand(supportCommand())
    .addCommand(validateCommand())
    .addCommand(webCommand());
}
