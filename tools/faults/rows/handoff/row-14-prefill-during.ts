import { until, type RigNote } from "@stator/testing";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";
import { heldAfter, untilEnough } from "../../workers-left.ts";

/** By turns: the source dies at a share of the bytes, its connections are reset there, one bit of them is flipped. */
const kinds = ["kill 0.1", "kill 0.5", "kill 0.9", "cut 0.5", "flip 0.5"] as const;

export const row14: Row = {
  row: 14,
  title:
    "Transfer breaks: prefill dies at 10, 50 and 90 % of its bytes, its connection is cut, a bit is flipped",
  engines: ["simulated", "llama"],
  zero: ["leaked"],
  run: (context) =>
    // Some MiB over sockets: the point lies within a transfer.
    trial(context, { config: { isTcp: true, blockBytes: 128 * 1024 } }, async (one) => {
      const { rig, notes, settled } = one;
      const recoveries: Promise<number>[] = [];
      const first = notes.length;
      const more = { kills: 0, cuts: 0, flips: 0 };
      let confirmed = 0;
      for (let i = 0; i < context.profile.faults; i++) {
        await settled();
        await untilEnough(rig, 1, "prefill");
        const from = notes.length;
        const kind = kinds[i % kinds.length]!;
        const hasStruck = (): boolean => notes.slice(from).some(({ note }) => note.type === "struck");
        let name = "";
        let epoch = "";
        // Armed where prompts are computed just now; again, should that one get no more of them.
        for (let tries = 0; !hasStruck() && tries < 10; tries++) {
          const seen = notes.length;
          await until("a prompt is prefilled", () => notes.slice(seen).some(({ note }) => isPrefill(note)));
          const at = notes.slice(seen).find(({ note }) => isPrefill(note))!.worker;
          const handle = rig.handle(at);
          if (handle?.health.isSelectable !== true) continue;
          name = at;
          epoch = handle.worker.epoch;
          await rig.command(name, "hurtTransfer", kind);
          await until(`${name} is struck in mid-transfer`, hasStruck, 5_000).catch(() => undefined);
        }
        if (!hasStruck()) continue;
        const struckMs = performance.now();
        confirmed += 1;
        if (kind.startsWith("kill")) {
          more.kills += 1;
          recoveries.push(rig.selectable(name, epoch).then((atMs) => atMs - struckMs));
        } else if (kind.startsWith("cut")) more.cuts += 1;
        else more.flips += 1;
      }
      return {
        faults: context.profile.faults,
        confirmed,
        recoveryMs: await Promise.all(recoveries),
        more,
        async after() {
          const failed = notes.slice(first).filter(({ note }) => note.type === "fetchFailed").length;
          return { failedFetches: failed, ...(await heldAfter(rig)) };
        },
      };
    }),
};

function isPrefill(note: RigNote): boolean {
  return note.type === "started" && note.mode === "prefill";
}
