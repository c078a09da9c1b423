import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { DecodePoint, PrefillPoint } from "@stator/planner";

type Point = PrefillPoint | DecodePoint;

/** Points of a measurement that may be cut off, kept beside the profile that they are for. */
export interface UnfinishedProfile {
  /** Undefined: kept in memory only. */
  readonly file: string | undefined;
  readonly count: number;
  /** As the server named it. */
  readonly model: string | undefined;
  get(key: string): Point | undefined;
  add(key: string, point: Point, model: string): void;
}

interface Content {
  readonly settings: unknown;
  readonly model?: string;
  readonly points: Readonly<Record<string, Point>>;
}

const fileOf = (output: string): string => `${output}.partial`;

/**
 * What an earlier run left of the profile `output`. Points measured with other settings (another server, another number of
 * output tokens) are no part of this one and are dropped.
 */
export function unfinishedProfile(output: string | undefined, settings: object): UnfinishedProfile {
  const file = output === undefined ? undefined : fileOf(output);
  const own = JSON.parse(JSON.stringify(settings)) as unknown;
  const before = file === undefined ? undefined : read(file);
  const isSame = before !== undefined && isDeepStrictEqual(before.settings, own);
  const points = new Map<string, Point>(isSame ? Object.entries(before.points) : []);
  let model = isSame ? before.model : undefined;
  return {
    file,
    get count() {
      return points.size;
    },
    get model() {
      return model;
    },
    get: (key) => points.get(key),
    add(key, point, served) {
      points.set(key, point);
      model = served;
      if (file !== undefined)
        writeFileSync(file, JSON.stringify({ settings: own, model, points: Object.fromEntries(points) }));
    },
  };
}

/** To be called once the profile itself is written. */
export function forgetUnfinished(output: string): void {
  rmSync(fileOf(output), { force: true });
}

function read(file: string): Content | undefined {
  try {
    const content = JSON.parse(readFileSync(file, "utf8")) as Partial<Content> | null;
    return typeof content?.points === "object" && content.points !== null ? (content as Content) : undefined;
  } catch {
    return undefined;
  }
}
