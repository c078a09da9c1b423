import { join } from "node:path";
import { createSupervisor } from "@stator/runtime";
import { expect, test } from "vitest";

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s drains all in order, then closes all in order, and the process ends by itself",
  async (signal) => {
    await using supervisor = createSupervisor();
    const lines: string[] = [];
    const child = supervisor.start({
      name: "closing",
      command: process.execPath,
      args: [
        "--import",
        "tsx",
        "--conditions=@stator/source",
        join(import.meta.dirname, "closing-process.ts"),
      ],
      // Without a channel to the supervisor: a child that has one leaves Ctrl-C to it.
      ready: /^ready$/,
      restart: "never",
      onLine: (line) => lines.push(line),
    });
    await child.ready();
    const ended = new Promise<void>((resolve) =>
      child.onChange(({ state }) => state === "stopped" && resolve()),
    );
    child.signal(signal);
    await ended;
    expect(child.lastExit).toMatchObject({ reason: "done", code: 0 });
    expect(lines.slice(1)).toEqual([
      "server drained",
      "runtime drained",
      "server closed",
      "runtime closed",
      `signal ${signal}`,
    ]);
  },
);
