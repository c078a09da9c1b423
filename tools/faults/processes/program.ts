import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Arguments of Node for the program, bundled out of the sources: six processes start in the time that one takes otherwise. */
export async function bundledProgram(name: "worker" | "frontend"): Promise<readonly string[]> {
  const outDir = `${root}node_modules/.cache/stator-faults-${process.pid}`;
  const file = `${outDir}/${name}.mjs`;
  if (existsSync(file)) return [file];
  mkdirSync(outDir, { recursive: true });
  process.once("exit", () => rmSync(outDir, { recursive: true, force: true }));
  const bundler = fileURLToPath(new URL("bundle.mjs", import.meta.url));
  await promisify(execFile)(process.execPath, [bundler, name, outDir]);
  return [file];
}

/** Arguments of Node for the program as it is: for engines that find files beside their own sources. */
export function sourceProgram(name: "worker" | "frontend"): readonly string[] {
  return [
    "--import",
    "tsx",
    "--conditions=@stator/source",
    fileURLToPath(new URL(`${name}.ts`, import.meta.url)),
  ];
}
