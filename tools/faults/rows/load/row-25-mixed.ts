import { contractVersion } from "@stator/core";
import type { Row } from "../../row.ts";
import { trial } from "../../trial.ts";

export const row25: Row = {
  row: 25,
  title: "Mixed builds: next, this and an incompatible contract side by side, replaced one by one",
  engines: ["simulated"],
  zero: ["toIncompatible"],
  run: (context) =>
    trial(
      context,
      {
        config: (name) =>
          name === "decode-4"
            ? { contract: { min: contractVersion + 1, max: contractVersion + 2 } }
            : name.endsWith("1")
              ? { contract: { min: contractVersion, max: contractVersion + 1 } }
              : {},
      },
      async ({ rig, load, passed }) => {
        // It registers, is refused with a message, and never becomes selectable.
        void rig.add({ name: "decode-4", role: "decode" }).catch(() => undefined);
        await passed(context.profile.clients * 4);
        const recoveryMs: number[] = [];
        for (const name of ["decode-0", "decode-1"]) {
          const { epoch } = rig.handle(name)!.worker;
          const struckMs = performance.now();
          rig.process(name).signal("SIGTERM");
          recoveryMs.push((await rig.selectable(name, epoch)) - struckMs);
          await passed(context.profile.clients);
        }
        const routed = (worker: string): number =>
          load.requests.filter(({ events }) => events.some((e) => e.type === "routed" && e.worker === worker))
            .length;
        const toNext = routed("decode-1");
        return {
          faults: 2,
          confirmed: toNext > 0 ? 2 : 0,
          recoveryMs,
          more: { toNext, toIncompatible: routed("decode-4") },
        };
      },
    ),
};
