import { CoreError } from "@stator/core";
import { Command, Option } from "commander";
import { positive, sizes } from "../../options.ts";
import { discoveryFrom } from "../../processes/discovery-from-layout.ts";
import { bar, createTerminal, table } from "../../terminal.ts";
import { measureTransfers, sweep, type TransferCase, type TransferMeasure } from "../../transfer/bench.ts";
import { namespaceAgents } from "../../transfer/list-agents.ts";
import { transportNames, transportProblem } from "../../transfer/transports.ts";

const defaultCases: readonly TransferCase[] = [
  { bytes: 4_096, pieces: 256 },
  { bytes: 65_536, pieces: 64 },
  { bytes: 1_048_576, pieces: 16 },
];

interface Flags {
  transport?: string[];
  block?: number[];
  batch?: number[];
  operation: "read" | "write" | "both";
  topology: "pairs" | "many-to-one";
  initiators: number;
  from?: string[];
  to?: string[];
  namespace: string;
  discovery: string;
  repeats: number;
  json?: boolean;
}

export function benchCommand(): Command {
  return new Command("bench")
    .description("read and write memory of other processes, by block and batch size")
    .option("--transport <name...>", `of ${transportNames.join(", ")}; all that work here when absent`)
    .option("--block <bytes,…>", "bytes of a piece, as 4k,64k,1m: each with each batch", sizes)
    .option("--batch <n,…>", "pieces of a transfer, as 1,16,256", sizes)
    .addOption(
      new Option("--operation <kind>", "which way").choices(["read", "write", "both"]).default("both"),
    )
    .addOption(
      new Option("--topology <kind>", "whose memory").choices(["pairs", "many-to-one"]).default("pairs"),
    )
    .option("--initiators <n>", "processes that move bytes at once", positive, 1)
    .option("--from <worker...>", "running workers move the bytes, in place of processes started for it")
    .option("--to <worker...>", "whose memory it is: one for all of them, or one for each")
    .option("--namespace <name>", "of these workers", "default")
    .option("--discovery <address>", "of these workers: file, redis://… or nats://…", "file")
    .option("--repeats <n>", "transfers of each kind", positive, 100)
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const terminal = createTerminal(flags.json === true);
      const measures = await (flags.from === undefined || flags.to === undefined
        ? between(flags, (done, all) => terminal.progress(`${bar(done / all)}  ${done} of ${all}`))
        : betweenWorkers(flags, flags.from, flags.to));
      terminal.json(measures);
      const header = ["transport", "operation", "bytes", "pieces", "from", "to", "GB/s", "p50 µs", "p99 µs"];
      const rows = measures.map((m) => [
        ...[m.transport, m.operation, m.bytes, m.pieces],
        ...[m.initiators, m.targets, m.gigabytesPerSecond, m.p50Micros, m.p99Micros],
      ]);
      terminal.print(table([header, ...rows]));
    });
}

function casesOf({ block, batch }: Flags): readonly TransferCase[] {
  if (block === undefined && batch === undefined) return defaultCases;
  const batches = batch ?? [64];
  return (block ?? [65_536]).flatMap((bytes) => batches.map((pieces) => ({ bytes, pieces })));
}

const operationsOf = ({ operation }: Flags): readonly ("read" | "write")[] =>
  operation === "both" ? ["read", "write"] : [operation];

async function between(
  flags: Flags,
  onProgress: (done: number, all: number) => void,
): Promise<TransferMeasure[]> {
  const working: string[] = [];
  for (const name of flags.transport === undefined ? transportNames : [])
    if ((await transportProblem(name)) === undefined) working.push(name);
  return measureTransfers({
    transports: flags.transport ?? working,
    cases: casesOf(flags),
    topology: { kind: flags.topology === "pairs" ? "pairs" : "manyToOne", initiators: flags.initiators },
    operations: operationsOf(flags),
    repeats: flags.repeats,
    onProgress,
  });
}

async function betweenWorkers(
  flags: Flags,
  from: readonly string[],
  to: readonly string[],
): Promise<TransferMeasure[]> {
  if (to.length !== 1 && to.length !== from.length)
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `${from.length} workers after --from and ${to.length} after --to: name one target for all, or one for each.`,
    });
  await using agents = await namespaceAgents(flags.namespace, await discoveryFrom(flags.discovery));
  const measures: TransferMeasure[] = [];
  // Pairs that share a target must name the same client.
  const targets = to.map((name) => agents.client(name));
  const pairs = from.map((name, i) => ({
    initiator: agents.client(name),
    target: targets[i % targets.length]!,
  }));
  for (const transport of flags.transport ?? [undefined])
    await sweep({
      pairs,
      cases: casesOf(flags),
      operations: operationsOf(flags),
      repeats: flags.repeats,
      ...(transport === undefined ? {} : { transport }),
      onMeasure: (measure) => void measures.push(measure),
    });
  return measures;
}
