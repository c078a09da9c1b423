import path from "node:path";
import { Command, Option } from "commander";
import { count, positive } from "../../options.ts";
import { runStore, type StoreProcessOptions } from "../../transfer/run-store.ts";

interface Flags {
  name: string;
  hostCacheMb: number;
  diskCache?: string;
  diskCacheMb: number;
  namespace: string;
  discovery: string;
  host?: string;
  advertise?: string;
  logLevel: StoreProcessOptions["logLevel"];
}

export function storeCommand(): Command {
  return new Command("store")
    .description("keep KV blocks for all workers of a namespace that were started with --shared-cache")
    .option("--name <name>", "what workers call it", "kv-store")
    .option("--host-cache-mb <n>", "most megabytes in memory", count, 1_024)
    .option("--disk-cache <folder>", "where blocks are kept that outlive it")
    .option("--disk-cache-mb <n>", "most megabytes in it", positive, 4_096)
    .option("--namespace <name>", "separates deployments", "default")
    .option("--discovery <address>", "file, redis://… or nats://…", "file")
    .option("--host <address>", "interface that workers reach it on")
    .option("--advertise <address>", "what workers are told; the host when absent")
    .addOption(
      new Option("--log-level <level>").choices(["silent", "error", "warn", "info", "debug"]).default("warn"),
    )
    .action(async (flags: Flags) => {
      await runStore({
        name: flags.name,
        namespace: flags.namespace,
        discovery: flags.discovery,
        logLevel: flags.logLevel,
        hostBytes: flags.hostCacheMb * 2 ** 20,
        diskBytes: flags.diskCacheMb * 2 ** 20,
        ...(flags.diskCache === undefined ? {} : { diskDirectory: path.resolve(flags.diskCache) }),
        ...(flags.host === undefined ? {} : { host: flags.host }),
        ...(flags.advertise === undefined ? {} : { advertise: flags.advertise }),
        onReady: () => process.stdout.write(`store ${flags.name} is ready\n`),
      });
      process.exit(process.exitCode ?? 0);
    });
}
