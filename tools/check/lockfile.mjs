// The lockfile must be complete for every platform: an optional platform package that is missing breaks `npm ci` elsewhere.
import { readFileSync } from "node:fs";

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
const missing = [];
for (const [location, entry] of Object.entries(packages)) {
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    const places = [`${location}/node_modules/${name}`, `node_modules/${name}`];
    if (
      !places.some((place) => place in packages) &&
      !Object.keys(packages).some((key) => key.endsWith(`node_modules/${name}`))
    )
      missing.push(`${name} (of ${location})`);
  }
  if (
    typeof entry.resolved === "string" &&
    !entry.resolved.startsWith("packages/") &&
    !entry.resolved.startsWith("examples/")
  )
    missing.push(`${location} carries a download address`);
}
if (missing.length > 0) {
  console.error(`package-lock.json is incomplete:\n${missing.join("\n")}`);
  process.exit(1);
}
console.log("lockfile: complete");
