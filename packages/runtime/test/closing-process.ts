// A process that waits for a signal, for the tests.
import { closeOnSignal } from "@stator/runtime";

const part = (name: string) => ({
  async drain() {
    await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(`${name} drained`);
  },
  async close() {
    await Promise.resolve();
    console.log(`${name} closed`);
  },
});
setTimeout(() => console.log("ready"), 0);
console.log(`signal ${await closeOnSignal(part("server"), part("runtime"))}`);
