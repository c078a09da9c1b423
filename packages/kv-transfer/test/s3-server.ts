// A server that speaks S3, for tests: moto, or whatever STATOR_S3_ENDPOINT names.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { freePort } from "../src/testing/free-port.ts";

export interface S3Server {
  readonly endpoint: string;
  close(): void;
}

/** `undefined` where there is none on this machine. */
export async function startS3Server(): Promise<S3Server | undefined> {
  const given = process.env.STATOR_S3_ENDPOINT;
  if (given !== undefined) return { endpoint: given, close: () => undefined };
  if (spawnSync("moto_server", ["--help"]).status !== 0) return undefined;
  const port = await freePort();
  const child: ChildProcess = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(port)], {
    stdio: "ignore",
  });
  const endpoint = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if (child.exitCode !== null) return undefined;
    const isUp = await fetch(`${endpoint}/moto-api/`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (isUp) return { endpoint, close: () => child.kill("SIGKILL") };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill("SIGKILL");
  return undefined;
}
