import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

// The page is served below any path and works from disk: links are relative, nothing is fetched from elsewhere.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  resolve: { conditions: ["@stator/source"] },
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
});
