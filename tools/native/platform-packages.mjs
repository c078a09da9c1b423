// Platform packages: packages/PACKAGE/npm/PLATFORM, one per addon and platform.
//
//   node tools/native/platform-packages.mjs fill [PLATFORM]      copies the addons built here into their folders of this platform
//   node tools/native/platform-packages.mjs depend PACKAGE DIR   writes optionalDependencies into DIR/package.json, a manifest about to be packed
//   node tools/native/platform-packages.mjs check                every folder has what its loader asks for
//
// The committed manifests never name them: unpublished ones would break `npm ci`.
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [command, ...args] = process.argv.slice(2);
const read = (file) => JSON.parse(readFileSync(file, "utf8"));

/** Packages with an addon, and the folders of their platforms. */
const packages = readdirSync(join(root, "packages"))
  .map((name) => ({ name, folder: join(root, "packages", name, "npm") }))
  .filter(({ folder }) => existsSync(folder))
  .map(({ name, folder }) => ({
    name,
    platforms: readdirSync(folder).map((platform) => ({
      platform,
      folder: join(folder, platform),
      manifest: read(join(folder, platform, "package.json")),
    })),
  }));

function fail(message) {
  console.error(message);
  process.exit(1);
}

if (command === "fill") {
  const wanted = args[0] ?? `${process.platform}-${process.arch}`;
  let filled = 0;
  for (const { name, platforms } of packages)
    for (const { platform, folder, manifest } of platforms) {
      if (platform !== wanted) continue;
      const built = join(root, "packages", name, "native/build", manifest.main);
      if (!existsSync(built)) fail(`${built} is not there: run npm run build:native first.`);
      copyFileSync(built, join(folder, manifest.main));
      console.log(`filled ${manifest.name}`);
      filled += 1;
    }
  if (filled === 0) fail(`There is no platform package for ${wanted}.`);
} else if (command === "depend") {
  const [name, directory] = args;
  const found = packages.find((each) => each.name === name);
  if (found === undefined || directory === undefined) fail("usage: platform-packages.mjs depend PACKAGE DIR");
  const file = join(directory, "package.json");
  const manifest = read(file);
  manifest.optionalDependencies = Object.fromEntries(
    found.platforms.map(({ manifest: { name: dependency, version } }) => [dependency, version]),
  );
  writeFileSync(file, `${JSON.stringify(manifest, undefined, 2)}\n`);
} else if (command === "check") {
  for (const { name, platforms } of packages) {
    const { version } = read(join(root, "packages", name, "package.json"));
    for (const { platform, manifest } of platforms) {
      const [system, architecture] = platform.split("-");
      const isRight =
        manifest.name === `@stator/${name}-${platform}` &&
        manifest.version === version &&
        manifest.os.join() === system &&
        manifest.cpu.join() === architecture &&
        manifest.files.includes(manifest.main);
      if (!isRight)
        fail(`packages/${name}/npm/${platform}/package.json does not fit its package or platform.`);
    }
  }
} else fail("usage: platform-packages.mjs fill | depend | check");
