import { until, type ProxyDirection } from "@stator/testing";
import type { RowContext, RowResult } from "../../row.ts";
import { trial } from "../../trial.ts";
import { untilEnough } from "../../workers-left.ts";

/** The way to a worker swallows what is said, in one direction or both; the worker must not go on for nobody. */
export function partition(usual: RowContext, direction?: ProxyDirection): Promise<RowResult> {
  // Long outputs: a worker that nobody hears has something left to stop.
  const requests = Math.min(usual.profile.requests, 200);
  const context = { ...usual, profile: { ...usual.profile, tokens: [200, 400] as const, requests } };
  return trial(context, { isProxied: true }, async ({ rig, streaming, notes }) => {
    const detectMs: number[] = [];
    const recoveries: Promise<number>[] = [];
    const freedMs: number[] = [];
    let confirmed = 0;
    for (let i = 0; i < context.profile.faults; i++) {
      await untilEnough(rig);
      const { worker } = await streaming();
      const handle = rig.handle(worker)!;
      const proxy = rig.proxy(worker);
      const running = new Set<string>();
      for (const { worker: at, note } of notes) {
        if (at !== worker) continue;
        if (note.type === "started") running.add(note.request);
        if (note.type === "ended") running.delete(note.request);
      }
      const struckMs = performance.now();
      proxy.set({ isBlackhole: true }, direction);
      detectMs.push((await rig.unselectable(handle)) - struckMs);
      await until("the worker is given up", () => handle.health.condition === "silent");
      confirmed += 1;
      // What ran there ends: by its last token, or because nobody hears it.
      const freed = (): boolean => {
        for (const { worker: at, note, atMs } of notes) {
          if (at === worker && note.type === "ended" && atMs > struckMs) running.delete(note.request);
        }
        return running.size === 0;
      };
      await until("the worker freed what ran", freed);
      freedMs.push(notes.findLast(({ worker: at }) => at === worker)!.atMs - struckMs);
      const healedMs = performance.now();
      proxy.heal();
      // What was swallowed is lost for good: those connections cannot go on.
      proxy.cut();
      recoveries.push(rig.selectable(worker).then((atMs) => atMs - healedMs));
    }
    return {
      faults: context.profile.faults,
      confirmed,
      detectMs,
      recoveryMs: await Promise.all(recoveries),
      more: { freedMs: Math.round(Math.max(...freedMs)) },
    };
  });
}
