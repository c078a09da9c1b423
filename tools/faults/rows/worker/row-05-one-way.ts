import type { Row } from "../row.ts";
import { partition } from "./partition.ts";

export const row05: Row = {
  row: 5,
  title: "One-way partition: requests arrive, answers do not",
  engines: ["simulated"],
  run: (context) => partition(context, "down"),
};
