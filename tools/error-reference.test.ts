import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

/** Every member of a `…ErrorCode` union in a package's sources. */
function codesOf(folder: string): Set<string> {
  const codes = new Set<string>();
  for (const file of readdirSync(folder, { recursive: true }) as string[]) {
    if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
    const source = readFileSync(path.join(folder, file), "utf8");
    for (const [, union] of source.matchAll(/type \w*ErrorCode =([^;]+);/g)) {
      for (const [, code] of union!.matchAll(/"([A-Z0-9_]+)"/g)) codes.add(code!);
    }
  }
  return codes;
}

for (const name of readdirSync("packages")) {
  const sources = path.join("packages", name, "src");
  const codes = existsSync(sources) ? codesOf(sources) : new Set<string>();
  if (codes.size === 0) continue;
  test(`every error code of ${name} has its paragraph, and every paragraph its code`, () => {
    const page = path.join("docs/reference/errors", `${name}.md`);
    const documented = [...readFileSync(page, "utf8").matchAll(/^## ([A-Z0-9_]+)$/gm)].map(
      ([, code]) => code!,
    );
    expect(documented.filter((code) => code !== "INTERNAL").sort()).toEqual([...codes].sort());
  });
}
