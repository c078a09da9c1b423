import { spawn } from "node:child_process";

/** A watch over a process group, held as long as this process lives. */
export interface GroupGuard {
  /** The group has ended by itself: nobody is to be killed any more. */
  release(): void;
}

/** Time that the group has after SIGTERM before it gets SIGKILL, s. */
const graceSeconds = 10;

/**
 * Ends a process group when this process is gone, however it went: a shell waits for the end of a pipe that only this process
 * holds open, which SIGKILL closes too. It lives in a session of its own, so that a Ctrl-C does not end it first.
 */
export function guardGroup(leader: number): GroupGuard {
  const script =
    `cat > /dev/null; kill -TERM "-$1" 2> /dev/null || exit 0; ` +
    `for _ in $(seq ${graceSeconds}); do sleep 1; kill -0 "-$1" 2> /dev/null || exit 0; done; kill -KILL "-$1"`;
  const guard = spawn("sh", ["-c", script, "stator-guard", String(leader)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  // Without a shell there is no guard, and nothing else is lost.
  guard.on("error", () => {});
  guard.unref();
  const { stdin } = guard;
  stdin.on("error", () => {});
  if ("unref" in stdin) (stdin as unknown as { unref(): void }).unref();
  return { release: () => void guard.kill("SIGKILL") };
}
