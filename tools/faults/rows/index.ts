import type { Row } from "../row.ts";
import { row01 } from "./worker/row-01-kill.ts";
import { row02 } from "./worker/row-02-stop.ts";
import { row03 } from "./worker/row-03-stuck.ts";
import { row04 } from "./worker/row-04-half-open.ts";
import { row05 } from "./worker/row-05-one-way.ts";
import { row06 } from "./worker/row-06-slow.ts";
import { row07 } from "./worker/row-07-restart.ts";
import { row08 } from "./planes/row-08-store-down.ts";
import { row09 } from "./planes/row-09-store-empty.ts";
import { row10 } from "./planes/row-10-store-flaps.ts";
import { row11 } from "./planes/row-11-broker.ts";
import { row12 } from "./load/row-12-frontend.ts";
import { row13 } from "./handoff/row-13-prefill-before.ts";
import { row14 } from "./handoff/row-14-prefill-during.ts";
import { row15 } from "./handoff/row-15-prefill-after.ts";
import { row16 } from "./handoff/row-16-decode-held.ts";
import { row17 } from "./planes/row-17-events.ts";
import { row18 } from "./planes/row-18-clock.ts";
import { row19 } from "./worker/row-19-memory.ts";
import { row20 } from "./planes/row-20-disk.ts";
import { row21 } from "./load/row-21-poison.ts";
import { row22 } from "./load/row-22-herd.ts";
import { row23 } from "./load/row-23-client-leaves.ts";
import { row24 } from "./load/row-24-drain.ts";
import { row25 } from "./load/row-25-mixed.ts";

/** The fault matrix. */
export const rows: readonly Row[] = [
  row01,
  row02,
  row03,
  row04,
  row05,
  row06,
  row07,
  row08,
  row09,
  row10,
  row11,
  row12,
  row13,
  row14,
  row15,
  row16,
  row17,
  row18,
  row19,
  row20,
  row21,
  row22,
  row23,
  row24,
  row25,
];
