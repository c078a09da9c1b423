import { fileURLToPath } from "node:url";
import { build } from "vite";
import { expect, it } from "vitest";

it("bundles for browsers without a Node module", async () => {
  const output = await build({
    configFile: false,
    logLevel: "silent",
    resolve: { conditions: ["@stator/source"] },
    build: {
      write: false,
      minify: false,
      lib: { entry: fileURLToPath(new URL("./index.ts", import.meta.url)), formats: ["es"] },
      rollupOptions: { onwarn: (warning) => expect.fail(warning.message) },
    },
  });
  const code = JSON.stringify(output);
  expect(code).not.toMatch(/from ['"\\]+node:|__vite-browser-external/);
  expect(code).toContain("createSimulatedEngine");
});
