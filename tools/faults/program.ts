import { existsSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Arguments of Node for the program, bundled out of the sources: six processes start in the time that one takes otherwise. */
export async function bundledProgram(name: "worker" | "frontend"): Promise<readonly string[]> {
  const outDir = `${root}node_modules/.cache/stator-faults-${process.pid}`;
  const file = `${outDir}/${name}.mjs`;
  if (existsSync(file)) return [file];
  mkdirSync(outDir, { recursive: true });
  process.once("exit", () => rmSync(outDir, { recursive: true, force: true }));
  await build({
    root,
    configFile: false,
    logLevel: "error",
    ssr: {
      noExternal: [/^@stator\//],
      resolve: { conditions: ["@stator/source"], externalConditions: ["@stator/source"] },
    },
    resolve: { conditions: ["@stator/source"] },
    build: {
      ssr: fileURLToPath(new URL(`${name}.ts`, import.meta.url)),
      outDir,
      emptyOutDir: false,
      minify: false,
      rollupOptions: { output: { entryFileNames: `${name}.mjs`, chunkFileNames: `${name}-[hash].mjs` } },
    },
  });
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
