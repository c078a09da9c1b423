import type { Row } from "../../row.ts";
import { partition } from "./partition.ts";

export const row05: Row = {
  row: 5,
  title: "One-way partition: requests arrive, answers do not",
  engines: ["simulated"],
  most: { detectP99Ms: 1_100, freedMs: 2_000 },
  run: (context) => partition(context, "down"),
};
