import type { Row } from "../../row.ts";
import { partition } from "./partition.ts";

export const row04: Row = {
  row: 4,
  title: "Half-open connection: nothing passes, nothing is closed",
  engines: ["simulated"],
  most: { detectP99Ms: 1_100, freedMs: 2_000 },
  run: (context) => partition(context),
};
