import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { StatorError, type ErrorKind } from "@stator/core";
import type { Simulation } from "@stator/simulator";
import { answer, withSetting, type WhatIf } from "./what-if.ts";

/** One combination of a sweep. */
export interface Variant {
  /** `decode.replicas=2 policy=kv-aware`; empty for a single run. */
  readonly label: string;
  readonly question: WhatIf;
}

export interface Answered {
  readonly label: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly result: Simulation;
}

/** What a sweep's thread says. */
export type SweepMessage =
  | { readonly progress: number }
  | { readonly result: Simulation }
  | { readonly error: { readonly code: string; readonly kind: ErrorKind; readonly message: string } };

/** Every combination of the sweeps, each `key=a,b,c`. */
export function variantsOf(question: WhatIf, sweeps: readonly string[]): readonly Variant[] {
  let variants: Variant[] = [{ label: "", question }];
  for (const sweep of sweeps) {
    const at = sweep.indexOf("=");
    const key = sweep.slice(0, at);
    variants = variants.flatMap((variant) =>
      sweep
        .slice(at + 1)
        .split(",")
        .map((value) => ({
          label: `${variant.label} ${key}=${value}`.trim(),
          question: withSetting(variant.question, key, value),
        })),
    );
  }
  return variants;
}

/** Runs each variant in a thread of its own, as many at once as there are processors; a single one here. */
export async function runVariants(
  variants: readonly Variant[],
  options: { readonly onProgress: (ratio: number) => void; readonly threads?: number },
): Promise<readonly Answered[]> {
  const [only] = variants;
  if (variants.length === 1 && only !== undefined)
    return [
      {
        label: only.label,
        settings: settingsOf(only.label),
        result: answer(only.question, options.onProgress),
      },
    ];
  const answers: Answered[] = [];
  const progress = variants.map(() => 0);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < variants.length; i = next++) {
      const { label, question } = variants[i]!;
      const reached = (ratio: number): void => {
        progress[i] = ratio;
        options.onProgress(progress.reduce((a, b) => a + b, 0) / variants.length);
      };
      const result = await inThread(question, reached);
      reached(1);
      answers[i] = { label, settings: settingsOf(label), result };
    }
  };
  const lanes = Math.min(variants.length, options.threads ?? availableParallelism());
  await Promise.all(Array.from({ length: lanes }, lane));
  return answers;
}

function settingsOf(label: string): Record<string, string> {
  return Object.fromEntries(
    label
      .split(" ")
      .filter((pair) => pair !== "")
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
}

async function inThread(question: WhatIf, onProgress: (ratio: number) => void): Promise<Simulation> {
  // Threads cannot run TypeScript on Node 20: from the sources, the built file serves.
  const isSource = import.meta.url.endsWith(".ts");
  const file = isSource ? "../../dist/simulate/sweep-thread.js" : "./sweep-thread.js";
  const thread = new Worker(new URL(file, import.meta.url), { workerData: question, execArgv: [] });
  try {
    return await new Promise<Simulation>((resolve, reject) => {
      thread.on("message", (message: SweepMessage) => {
        if ("progress" in message) onProgress(message.progress);
        else if ("result" in message) resolve(message.result);
        else reject(new StatorError(message.error));
      });
      thread.once("error", reject);
      thread.once("exit", () => reject(new Error("A simulation's thread ended without an answer.")));
    });
  } finally {
    await thread.terminate();
  }
}
