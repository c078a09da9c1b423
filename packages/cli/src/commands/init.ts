import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { CoreError } from "@stator/core";
import { projectFiles } from "../init/templates.ts";
import { createTerminal } from "../terminal.ts";

/** `stator init`: a new project with a graph, processes, a layout and a test. */
export function initCommand(version: string): Command {
  return new Command("init")
    .argument("<folder>", "new or empty folder")
    .option("--json", "print one JSON object")
    .action(async (folder: string, flags: { json?: boolean }) => {
      const terminal = createTerminal(flags.json === true);
      const existing = await readdir(folder).catch((): string[] => []);
      if (existing.length > 0) {
        throw new CoreError({
          code: "CORE_OPTION_INVALID",
          kind: "invalid",
          message: `${folder} is not empty; give a new folder.`,
        });
      }
      await mkdir(folder, { recursive: true });
      const name = path
        .basename(path.resolve(folder))
        .toLowerCase()
        .replaceAll(/[^a-z0-9-]/g, "-");
      const files = projectFiles(name, version);
      for (const [file, text] of Object.entries(files)) await writeFile(path.join(folder, file), text);
      terminal.json({ folder, files: Object.keys(files) });
      terminal.print(
        `${Object.keys(files)
          .map((file) => path.join(folder, file))
          .join("\n")}\n\ncd ${folder} && npm install && npm start`,
      );
    });
}
