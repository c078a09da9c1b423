// Builds images with buildah, without a daemon and without a registry where there is none.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const storage = ["--storage-driver", "vfs"];

/** Runs a program and returns what it printed. */
function run(command, args, { quiet = true, timeoutMs = 20 * 60_000, ...options } = {}) {
  const done = spawnSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", quiet ? "pipe" : "inherit"],
    timeout: timeoutMs,
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
  if (done.status === 0) return done.stdout.trim();
  const said = `${done.stdout ?? ""}${done.stderr ?? ""}`.trim().slice(-4_000);
  throw new Error(
    `${command} ${args.slice(0, 3).join(" ")} … ended with ${done.status ?? done.signal}:\n${said}`,
  );
}

export const buildah = (args, options) => run("buildah", [...storage, ...args], options);

/** Whether a program answers. */
export const has = (command, args = ["--version"]) =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0;

/**
 * The image that others stand on: the one that Containerfiles name where its registry is reached, else a stand-in of Debian's
 * packages (`debootstrap`) and this machine's Node with its npm and certificates.
 */
export function baseImage(named, standIn) {
  try {
    buildah(["pull", named], { timeoutMs: 60_000 });
    return named;
  } catch {
    if (hasImage(standIn)) return standIn;
    if (!has("debootstrap"))
      throw new Error(`${named} cannot be pulled, and there is no debootstrap to make a stand-in of it.`);
  }
  const folder = mkdtempSync(path.join(tmpdir(), "stator-base-"));
  try {
    const root = path.join(folder, "root");
    const mirror = process.env["STATOR_DEBIAN_MIRROR"] ?? "http://deb.debian.org/debian";
    run("debootstrap", [
      "--variant=minbase",
      "--include=ca-certificates,libstdc++6",
      "bookworm",
      root,
      mirror,
    ]);
    const npm = path.resolve(path.dirname(process.execPath), "../lib/node_modules/npm");
    mkdirSync(path.join(root, "usr/local/bin"), { recursive: true });
    copyFileSync(process.execPath, path.join(root, "usr/local/bin/node"));
    cpSync(npm, path.join(root, "usr/local/lib/node_modules/npm"), { recursive: true });
    const start = '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n';
    writeFileSync(path.join(root, "usr/local/bin/npm"), start, { mode: 0o755 });
    writeFileSync(path.join(root, "usr/local/bin/npx"), start.replace("npm-cli", "npx-cli"), { mode: 0o755 });
    const container = buildah(["from", "scratch"]);
    buildah(["add", "--quiet", container, root, "/"]);
    const certificates = process.env["NODE_EXTRA_CA_CERTS"];
    if (certificates !== undefined && existsSync(certificates)) {
      buildah(["add", "--quiet", container, certificates, "/etc/ssl/machine.pem"]);
      buildah(["config", "--env", "NODE_EXTRA_CA_CERTS=/etc/ssl/machine.pem", container]);
    }
    buildah(["config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container]);
    buildah(["commit", "--quiet", "--rm", container, standIn]);
    return standIn;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function hasImage(name) {
  return (
    spawnSync("buildah", [...storage, "inspect", "--type", "image", name], { stdio: "ignore" }).status === 0
  );
}
