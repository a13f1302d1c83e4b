/** Life of the bench's reading thread: told a ring → reads every frame → answers their sum. */

import { parentPort } from "node:worker_threads";
import { register } from "tsx/esm/api";

register();
const { RingReader } = await import("../src/transports/threads/ring-reader.ts");

parentPort?.on("message", ({ buffer, capacityBytes, frameCount }) => {
  const reader = new RingReader(buffer, 0, capacityBytes);
  parentPort?.postMessage("ready");
  let sum = 0;
  for (let received = 0; received < frameCount;) {
    if (!reader.peek() || !reader.take()) continue;
    sum += reader.sourceView.getInt32(reader.start, true);
    reader.release();
    received += 1;
  }
  reader.hasData();
  parentPort?.postMessage(sum);
});
