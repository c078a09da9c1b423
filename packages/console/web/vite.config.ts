import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

// The page is served below any path, so its links are relative; nothing is fetched from elsewhere.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  build: {
    outDir: "../dist/app",
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 200,
  },
});
