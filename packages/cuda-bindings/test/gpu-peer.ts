// The other process of bench/gpu.ts: opens memory by its IPC handle and sends its bytes back.
import { openCuda } from "@stator/cuda-bindings";

process.once("message", ({ handle, bytes }: { handle: Uint8Array; bytes: number }) => {
  try {
    const context = openCuda().context(0);
    const memory = context.openIpc(new Uint8Array(handle), bytes);
    const back = new Uint8Array(bytes);
    context.copy(back, memory);
    memory.close();
    process.send?.({ bytes: back });
  } catch (error) {
    process.send?.({ error: String(error) });
  }
});
