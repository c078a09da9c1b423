import { unlink } from "node:fs/promises";
import path from "node:path";
import { systemClock, type Clock, type Handoff, type Timer } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import type { ServerClient } from "../server/http/server-client.ts";

export interface SlotFilesOptions {
  /** `--slot-save-path` of both servers, as this process sees it: files are removed from there. */
  readonly folder: string;
  /** How long a saved slot waits for a decode server without renewal, ms. Default 30,000. */
  readonly leaseMs?: number;
  readonly clock?: Clock;
}

/** KV of llama-server's slots as files, and which slots are in use for that. */
export interface SlotFiles {
  /** A slot for work whose KV is to be saved or was restored; call `free` afterwards. */
  take(total: number): { readonly id: number; free(): void };
  save(client: ServerClient, slot: number, tokens: number, signal: AbortSignal): Promise<SavedSlot>;
  restore(client: ServerClient, slot: number, file: string, signal: AbortSignal): Promise<void>;
  renew(handoff: Handoff): void;
  release(handoff: Handoff): void;
  close(): void;
}

export interface SavedSlot {
  readonly file: string;
  readonly leaseMs: number;
}

const leaseDefaultMs = 30_000;

export function createSlotFiles({
  folder,
  leaseMs = leaseDefaultMs,
  clock = systemClock,
}: SlotFilesOptions): SlotFiles {
  const used = new Map<number, number>();
  const leases = new Map<string, Timer>();
  let files = 0;
  const life = Math.random().toString(36).slice(2, 10);
  const remove = (file: string): void => {
    leases.get(file)?.cancel();
    if (!leases.delete(file)) return;
    void unlink(path.join(folder, file)).catch(() => undefined);
  };
  const fileOf = (handoff: Handoff): string => new TextDecoder().decode(handoff.opaque);

  return {
    take(total) {
      let id = 0;
      for (let i = 1; i < total; i++) if ((used.get(i) ?? 0) < (used.get(id) ?? 0)) id = i;
      used.set(id, (used.get(id) ?? 0) + 1);
      let isFree = false;
      return {
        id,
        free() {
          if (!isFree) used.set(id, used.get(id)! - 1);
          isFree = true;
        },
      };
    },
    async save(client, slot, tokens, signal) {
      const file = `stator-${life}-${files++}.kv`;
      const answer = (await client.postJson(
        `/slots/${slot}?action=save`,
        { filename: file },
        { signal },
      )) as {
        n_saved?: number;
      };
      leases.set(
        file,
        clock.schedule(leaseMs, () => remove(file)),
      );
      if ((answer.n_saved ?? 0) < tokens) {
        remove(file);
        throw new EnginesError({
          code: "ENGINES_HANDOFF_FAILED",
          kind: "unavailable",
          message: `${client.url} saved ${answer.n_saved} of ${tokens} tokens of slot ${slot}: another request took the slot.`,
        });
      }
      return { file, leaseMs };
    },
    async restore(client, slot, file, signal) {
      try {
        await client.postJson(`/slots/${slot}?action=restore`, { filename: file }, { signal });
      } catch (error) {
        if (!EnginesError.isInstance(error) || error.code === "ENGINES_SERVER_UNREACHABLE") throw error;
        throw new EnginesError({
          code: "ENGINES_HANDOFF_FAILED",
          kind: "unavailable",
          message: `${client.url} could not restore ${file}: ${error.message}. Both servers need the same model, -np, -fa, -ctk, -ctv and --slot-save-path.`,
          cause: error,
        });
      }
    },
    renew(handoff) {
      const file = fileOf(handoff);
      const timer = leases.get(file);
      if (timer === undefined) return;
      timer.cancel();
      leases.set(
        file,
        clock.schedule(leaseMs, () => remove(file)),
      );
    },
    release: (handoff) => remove(fileOf(handoff)),
    close() {
      for (const file of [...leases.keys()]) remove(file);
    },
  };
}
