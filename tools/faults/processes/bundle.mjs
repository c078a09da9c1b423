// `node bundle.mjs NAME FOLDER`: bundles NAME.ts out of the sources. A process of its own: it takes a second of one core
// and 200 MB, which the tester's loop and memory must not show.
import { fileURLToPath } from "node:url";
import { build } from "vite";

const [, , name, outDir] = process.argv;
await build({
  root: fileURLToPath(new URL("../../../", import.meta.url)),
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
