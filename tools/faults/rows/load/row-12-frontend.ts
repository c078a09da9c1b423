import { until } from "@stator/testing";
import { bundledProgram } from "../../processes/program.ts";
import type { Row } from "../../row.ts";
import { trial, type Trial } from "../../trial.ts";

export const row12: Row = {
  row: 12,
  title: "One of two routers is killed: its own clients' streams break, the other's do not, its orphans end",
  engines: ["simulated"],
  most: { slowestOrphanMs: 1_000 },
  async run(context) {
    // Before the load: bundling keeps this process busy for longer than a caller may be silent.
    const program = await bundledProgram("frontend");
    return await trial(context, {}, async ({ rig, notes }) => {
      const frontend = rig.supervisor.start({
        name: "frontend-0",
        command: process.execPath,
        args: [...program, rig.folder],
        onLine: () => undefined,
      });
      const orphanMs: number[] = [];
      const recoveryMs: number[] = [];
      let confirmed = 0;
      let broken = 0;
      for (let i = 0; i < context.profile.fewFaults; i++) {
        const url = String((await frontend.ready())["url"]);
        const streams = [0, 1, 2, 3].map((n) =>
          ask(url, n, 600).then(
            () => undefined,
            () => (broken += 1),
          ),
        );
        await until("its requests run on workers", () => foreign(notes).size >= 4);
        const { restarts } = frontend;
        const struckMs = performance.now();
        frontend.signal("SIGKILL");
        await until("its orphans have ended", () => foreign(notes).size === 0);
        orphanMs.push(performance.now() - struckMs);
        await Promise.all(streams);
        await until("it is started again", () => frontend.restarts > restarts && frontend.state === "ready");
        if (frontend.lastExit?.signal === "SIGKILL") confirmed += 1;
        const again = String((await frontend.ready())["url"]);
        let isBack = false;
        // It knows its workers a moment after it listens; until then it refuses and says when to retry.
        while (!isBack)
          isBack = await ask(again, 9, 4).then(
            () => true,
            () => false,
          );
        recoveryMs.push(performance.now() - struckMs);
      }
      return {
        faults: context.profile.fewFaults,
        confirmed,
        recoveryMs,
        more: { ownStreamsBroken: broken, slowestOrphanMs: Math.round(Math.max(...orphanMs)) },
      };
    });
  },
};

/** Requests on workers that are not the load's own. */
function foreign(notes: Trial["notes"]): Set<string> {
  const running = new Set<string>();
  for (const { note } of notes) {
    if (!("request" in note) || /^s\d+-r\d+$/.test(note.request)) continue;
    if (note.type === "started") running.add(note.request);
    else running.delete(note.request);
  }
  return running;
}

/** Streams a completion to its end. @throws Error when it breaks. */
async function ask(url: string, n: number, maxTokens: number): Promise<void> {
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "tiny",
      prompt: `What turns, number ${n}?`,
      max_tokens: maxTokens,
      stream: true,
      ignore_eos: true,
    }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  if (!(await response.text()).includes("[DONE]")) throw new Error("The stream ended without its end.");
}
