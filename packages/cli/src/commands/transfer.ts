import { Command } from "commander";
import { positive } from "../options.ts";
import { explainTransports, measureTransfers, type TransferCase } from "../transfer/measure-transfer.ts";
import { transportNames, transportProblem } from "../transfer/transports.ts";
import { bar, createTerminal, table } from "../terminal.ts";

const defaultCases: readonly TransferCase[] = [
  { bytes: 4_096, pieces: 256 },
  { bytes: 65_536, pieces: 64 },
  { bytes: 1_048_576, pieces: 16 },
];

interface Flags {
  transport?: string[];
  block?: number;
  batch?: number;
  repeats: number;
  json?: boolean;
}

/** `stator transfer`: how fast KV moves on this machine, and by which way. */
export function transferCommand(): Command {
  return new Command("transfer")
    .description("how fast KV moves between two processes of this machine, and by which way")
    .addCommand(benchCommand())
    .addCommand(explainCommand());
}

function benchCommand(): Command {
  return new Command("bench")
    .description("read and write memory of another process, by block and batch size")
    .option("--transport <name...>", `of ${transportNames.join(", ")}; all that work here when absent`)
    .option("--block <bytes>", "bytes of a piece", positive)
    .option("--batch <n>", "pieces of a transfer", positive)
    .option("--repeats <n>", "transfers of each kind", positive, 100)
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const cases =
        flags.block === undefined && flags.batch === undefined
          ? defaultCases
          : [{ bytes: flags.block ?? 65_536, pieces: flags.batch ?? 64 }];
      const transports =
        flags.transport ?? transportNames.filter((name) => transportProblem(name) === undefined);
      const results = await measureTransfers({
        transports,
        cases,
        repeats: flags.repeats,
        onProgress: (done, all) => terminal.progress(`${bar(done / all)}  ${done} of ${all}`),
      });
      terminal.json(results);
      const header = ["transport", "operation", "bytes", "pieces", "GB/s", "p50 µs", "p99 µs"];
      terminal.print(
        table([
          header,
          ...results.map((r) => [
            r.transport,
            r.operation,
            r.bytes,
            r.pieces,
            r.gigabytesPerSecond,
            r.p50Micros,
            r.p99Micros,
          ]),
        ]),
      );
    });
}

function explainCommand(): Command {
  return new Command("explain")
    .description("which transports work here, and why the others do not")
    .option("--json", "print one JSON object")
    .action(async (flags: { json?: boolean }) => {
      const terminal = createTerminal(flags.json === true);
      const reports = await explainTransports(transportNames);
      terminal.json(reports);
      terminal.print(
        table(
          reports.map(({ transport, works, reason, explanation }) => [
            transport,
            works ? "works" : "no",
            reason ?? explanation?.path ?? "",
          ]),
        ),
      );
    });
}
