import type { Row } from "../row.ts";
import { partition } from "./partition.ts";

export const row04: Row = {
  row: 4,
  title: "Half-open connection: nothing passes, nothing is closed",
  engines: ["simulated"],
  run: (context) => partition(context),
};
