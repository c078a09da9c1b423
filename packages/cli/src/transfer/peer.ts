// The other process of `stator transfer bench`: one agent with one region, until its parent is gone.
import { createAgent } from "@stator/kv-transfer";
import { transportNamed } from "./transports.ts";

const [name = "tcp", bytes = "0"] = process.argv.slice(2);
const agent = await createAgent({ name: `peer-${process.pid}`, transports: [transportNamed(name)] });
const region = await agent.allocate({ bytes: Number(bytes) });
region.write(0, new Uint8Array(Number(bytes)).fill(7));
process.once("disconnect", () => void agent.close().finally(() => process.exit(0)));
process.send?.({ metadata: Buffer.from(agent.exportMetadata()).toString("base64") });
