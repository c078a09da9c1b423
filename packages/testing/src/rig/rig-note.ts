/** What a worker process of a rig tells as it happens, one line on its standard output each. */
export type RigNote =
  | {
      readonly type: "started";
      readonly request: string;
      readonly mode: "full" | "prefill";
      readonly from: number;
    }
  | { readonly type: "ended"; readonly request: string; readonly why: "done" | "aborted" | "failed" }
  /** A fault that was to happen at a point within has happened. */
  | { readonly type: "struck"; readonly fault: string }
  | { readonly type: "fetching" }
  | { readonly type: "fetched" }
  | { readonly type: "fetchFailed"; readonly error: string };

const mark = "stator:rig ";

/** The line of a note. */
export function writeRigNote(note: RigNote): string {
  return mark + JSON.stringify(note);
}

/** The note of a line; undefined for other output. */
export function readRigNote(line: string): RigNote | undefined {
  return line.startsWith(mark) ? (JSON.parse(line.slice(mark.length)) as RigNote) : undefined;
}
