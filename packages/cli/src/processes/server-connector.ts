import { CoreError } from "@stator/core";
import type { LlamaServerConnector } from "@stator/engines/llama-server";
import type { SglangConnector } from "@stator/engines/sglang";
import type { TrtllmConnector } from "@stator/engines/trtllm";
import type { VllmConnector } from "@stator/engines/vllm";

/** A connector as flags and layouts write it: `name`, or `name=detail`. */
function split(text: string): readonly [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function unknown(kind: string, text: string, known: string): CoreError {
  return new CoreError({
    code: "CORE_OPTION_INVALID",
    kind: "invalid",
    message: `connector is "${text}"; ${kind} has ${known}.`,
    data: { option: "connector", value: text },
  });
}

/** `nixl`, `mooncake[=http://prefill-host:8998]` or `p2p-nccl=ip:kv-port`. @throws CoreError `CORE_OPTION_INVALID` */
export function vllmConnector(text: string, holdMs?: number): VllmConnector {
  const [name, detail] = split(text);
  const hold = holdMs === undefined ? {} : { holdMs };
  if (name === "nixl") return { name, ...hold };
  if (name === "mooncake") return { name, ...(detail === undefined ? {} : { bootstrap: detail }), ...hold };
  if (name === "p2p-nccl" && detail !== undefined) return { name, kvAddress: detail };
  throw unknown("vllm", text, "nixl, mooncake[=http://prefill-host:8998] and p2p-nccl=ip:kv-port");
}

/** `bootstrap[=host[:port]]`. @throws CoreError `CORE_OPTION_INVALID` */
export function sglangConnector(text: string): SglangConnector {
  const [name, detail] = split(text);
  if (name !== "bootstrap") throw unknown("sglang", text, "bootstrap[=host[:port]]");
  const match = /^(.*?)(?::(\d+))?$/.exec(detail ?? "");
  const [, host = "", port] = match ?? [];
  return {
    name,
    ...(host === "" ? {} : { host }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}

/** `context`. @throws CoreError `CORE_OPTION_INVALID` */
export function trtllmConnector(text: string, holdMs?: number): TrtllmConnector {
  if (text !== "context") throw unknown("trtllm", text, "context");
  return { name: text, ...(holdMs === undefined ? {} : { holdMs }) };
}

/** `slot-files=folder`. @throws CoreError `CORE_OPTION_INVALID` */
export function llamaServerConnector(text: string): LlamaServerConnector {
  const [name, folder] = split(text);
  if (name !== "slot-files" || folder === undefined)
    throw unknown("llama-server", text, "slot-files=<its --slot-save-path>");
  return { name, folder };
}
