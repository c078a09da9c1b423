// Another process: opens memory by its IPC handle and sends its bytes back.
import { openCuda } from "@stator/cuda-bindings";

interface Ask {
  readonly handle: Uint8Array;
  readonly bytes: number;
  readonly library?: string;
}

process.once("message", ({ handle, bytes, library }: Ask) => {
  try {
    const context = openCuda(library === undefined ? {} : { library }).context(0);
    const memory = context.openIpc(new Uint8Array(handle), bytes);
    const back = new Uint8Array(bytes);
    context.copy(back, memory);
    memory.close();
    process.send?.({ bytes: back });
  } catch (error) {
    process.send?.({ error: String(error) });
  }
});
