import { percentile } from "../../statistics.ts";
import type { Row } from "../../row.ts";
import { trial, type Trial } from "../../trial.ts";
import { pause } from "../../pause.ts";

export const row06: Row = {
  row: 6,
  title: "One worker ten times slower",
  engines: ["simulated"],
  run: (context) =>
    trial(context, {}, async ({ rig, load }) => {
      const slow = "decode-0";
      await pause(2_000);
      const before = pace(load, 0, performance.now());
      const handle = rig.handle(slow)!;
      const struckMs = performance.now();
      await rig.command(slow, "slow", "10");
      const noticed = rig.unselectable(handle);
      // What the fleet does while it learns, and then what it does once it had 10 s to.
      await pause(10_000);
      const fromMs = performance.now();
      await pause(4_000);
      const after = pace(load, fromMs, performance.now());
      const late = load.requests.filter(({ sentMs }) => sentMs > fromMs);
      const share = late.filter(({ worker }) => worker === slow).length / Math.max(1, late.length);
      const detectedMs = await Promise.race([noticed, pause(1).then(() => undefined)]);
      const othersOut = ["decode-1", "decode-2", "decode-3"].filter(
        (name) => rig.handle(name)?.health.isSelectable !== true,
      ).length;
      await rig.command(slow, "slow", "1");
      return {
        faults: 1,
        confirmed: 1,
        ...(detectedMs === undefined ? {} : { detectMs: [detectedMs - struckMs] }),
        more: {
          itlP99BeforeMs: before,
          itlP99AfterMs: after,
          slowSharePercent: Math.round(share * 100),
          othersOut,
        },
      };
    }),
};

/** The p99 over requests of the mean time between tokens. */
function pace({ requests }: Trial["load"], fromMs: number, toMs: number): number {
  const paces = requests
    .filter(
      (r) => r.tokens > 2 && r.sentMs >= fromMs && r.lastTokenMs <= toMs && r.firstTokenMs !== undefined,
    )
    .map((r) => (r.lastTokenMs - r.firstTokenMs!) / (r.tokens - 1));
  return percentile(paces, 0.99);
}
