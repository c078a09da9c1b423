import type { Row } from "../row.ts";
import { row01 } from "./row-01-kill.ts";

/** The fault matrix. */
export const rows: readonly Row[] = [row01];
