/** How commands speak: text for people on stdout, JSON for programs with `--json`, progress on stderr only. */
export interface Terminal {
  /** One line or table for people; nothing under `--json`. */
  print(text: string): void;
  /** The result for programs; only under `--json`. */
  json(value: unknown): void;
  /** Redraws one line on a terminal; silent elsewhere. */
  progress(text: string): void;
  readonly isJson: boolean;
}

export function createTerminal(isJson: boolean): Terminal {
  const canRedraw = process.stderr.isTTY === true && !isJson;
  let hasProgress = false;
  const clear = (): void => {
    if (hasProgress) process.stderr.write("\r\x1b[K");
    hasProgress = false;
  };
  return {
    isJson,
    print(text) {
      clear();
      if (!isJson) process.stdout.write(`${text}\n`);
    },
    json(value) {
      clear();
      if (isJson) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    progress(text) {
      if (!canRedraw) return;
      process.stderr.write(`\r\x1b[K${text}`);
      hasProgress = true;
    },
  };
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, String(cell).length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) =>
          typeof cell === "number" ? String(cell).padStart(widths[i]!) : String(cell).padEnd(widths[i]!),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** `[█████·····]  52 %` */
export function bar(ratio: number, width = 24): string {
  const filled = Math.round(Math.min(1, Math.max(0, ratio)) * width);
  return `[${"█".repeat(filled)}${"·".repeat(width - filled)}] ${String(Math.round(ratio * 100)).padStart(3)} %`;
}
