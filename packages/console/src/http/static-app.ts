import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface AppFile {
  readonly type: string;
  readonly body: Buffer;
  /** Names of bundled files carry a hash of their content. */
  readonly isImmutable: boolean;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Where the bundle lies: beside this file when built, in `dist` when the sources run. */
const places = ["../app/", "../../dist/app/"];

/** The bundled page, read once at start: files by their path below the console's. Empty where nothing is bundled. */
export function loadApp(): ReadonlyMap<string, AppFile> {
  for (const place of places) {
    const files = readFolder(fileURLToPath(new URL(place, import.meta.url)));
    if (files.has("index.html")) return files;
  }
  return new Map();
}

function readFolder(folder: string): Map<string, AppFile> {
  const files = new Map<string, AppFile>();
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true }).map(String);
  } catch {
    return files;
  }
  for (const name of names) {
    const type = types[name.split(".").at(-1) ?? ""];
    if (type === undefined) continue;
    files.set(name.replaceAll("\\", "/"), {
      type,
      body: readFileSync(join(folder, name)),
      isImmutable: name.startsWith("assets"),
    });
  }
  return files;
}
