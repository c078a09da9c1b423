// Runs an image as Kubernetes would with our manifests: another user, no capabilities, a read-only root, /tmp of its own.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { buildah } from "./builder.mjs";

const user = 10_001;

// By the kernel's own means: an OCI runtime wants a control group of its own, which a machine in a machine may not have.
const enter = `set -eu
root=$1 shared=$2 files=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$shared" "$root/tmp"
mount --bind "$files" "$root/etc/stator"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec /usr/sbin/chroot "$root" /usr/bin/setpriv --reuid=${user} --regid=${user} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
`;

/**
 * Starts a container; `args` follow the image's entry point. Containers of one `shared` folder see each other's /tmp, which
 * is where file discovery lies, and all have the machine's network.
 */
export function startContainer({ image, args, shared, files }) {
  const container = buildah(["from", "--pull-never", image]);
  const root = buildah(["mount", container]);
  const { OCIv1: { config = {} } = {} } = JSON.parse(buildah(["inspect", "--type", "image", image]));
  mkdirSync(path.join(root, "etc/stator"), { recursive: true });
  const env = Object.fromEntries(
    (config.Env ?? []).map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]),
  );
  const program = [...(config.Entrypoint ?? []), ...args];
  const child = spawn(
    "unshare",
    ["--mount", "--pid", "--ipc", "--fork", "sh", "-c", enter, "enter", root, shared, files, ...program],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...env, HOME: "/tmp" } },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => (output = (output + String(chunk)).slice(-8_000)));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return {
    get output() {
      return output;
    },
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    /** What the program itself may do: its line of `/proc/PID/status`. */
    status(name) {
      const status = readFileSync(`/proc/${inner(child.pid)}/status`, "utf8");
      return new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1];
    },
    /** Ends it as the kubelet does, and takes its files away. Resolves with its exit code. */
    async stop() {
      const pid = this.isRunning ? inner(child.pid) : undefined;
      if (pid !== undefined) process.kill(pid, "SIGTERM");
      const late = setTimeout(() => process.kill(pid ?? child.pid, "SIGKILL"), 60_000);
      const code = await ended;
      clearTimeout(late);
      buildah(["umount", container]);
      buildah(["rm", container]);
      return code;
    },
  };
}

/** The process in the namespaces of `unshare`. */
function inner(pid) {
  const [first = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  return first === "" ? undefined : Number(first);
}
