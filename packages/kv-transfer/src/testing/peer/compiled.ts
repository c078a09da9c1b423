import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Folder of this package, whether this is its source or its build. */
const home = fileURLToPath(new URL("../../..", import.meta.url));
const packages = [home, `${home}../core/`, `${home}../contracts/`];
let isCurrent: boolean | undefined;

/** Whether these sources have been built since they were changed: what is built starts ten times faster than what a loader compiles. */
export function hasCurrentBuild(): boolean {
  isCurrent ??= packages.every((folder) => {
    const stamp = `${folder}dist/tsconfig.tsbuildinfo`;
    return existsSync(stamp) && statSync(stamp).mtimeMs >= newestIn(`${folder}src`);
  });
  return isCurrent;
}

function newestIn(folder: string): number {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) newest = Math.max(newest, newestIn(path));
    else if (entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
      newest = Math.max(newest, statSync(path).mtimeMs);
  }
  return newest;
}

/** The built file of a source file of this package; other paths as they are. */
export function builtPath(path: string): string {
  return path.startsWith(`${home}src/`)
    ? path.replace(`${home}src/`, `${home}dist/`).replace(/\.ts$/, ".js")
    : path;
}
