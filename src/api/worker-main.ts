/**
 * Composition root of a worker thread: host, core worker, rings, executor. Loads nothing of Effect
 * and no user code; that comes with the first task.
 */
import type { MessagePort } from "node:worker_threads";
import { gcsAddress, type WorkerId } from "#engine/common/ids.ts";
import type { Host } from "#engine/services/host.ts";
import { MemoryWords } from "#engine/services/memory-words.ts";
import { type BootData, hostThreadIndex, type PortMessage } from "#transports/threads/boot-data.ts";
import { openLinkMemory } from "#transports/threads/link-memory.ts";
import { outputFlushed } from "#transports/threads/output-flush.ts";
import { Bell, Poller } from "#transports/threads/parking.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import { ThreadTransport } from "#transports/threads/transport.ts";
import type { WorkerApp } from "./driver-threads.ts";
import { GarbageCollection } from "./garbage-collection.ts";
import { ModuleLoader } from "./identity/module-loader.ts";
import type { ClusterId } from "./ids.ts";
import { nodeDiskNow } from "./node-disk-now.ts";
import { addExecutor, makeProcess, realClock } from "./process.ts";
import { type Process, realmState } from "./runtime.ts";
import { importOutside } from "./task-context.ts";
import type { ResolveRemote } from "./user-code.ts";

/**
 * Looks at the rings before a turn counts as idle (some 20 µs), and idle turns before the thread
 * parks.
 */
const spinLooksMax = 1024;
const idleTurnsMax = 2;

export default async function workerMain(boot: BootData): Promise<void> {
  const { workerId, nodeId, driverId, port, config, checkInvariants } = boot;
  const app = boot.app as WorkerApp;
  const words = new Int32Array(boot.parkedWords);
  const arena = new SharedArena(boot.segments);
  const post = (message: PortMessage): void => port.postMessage(message);

  const process = makeProcess({
    workerId,
    nodeId,
    clusterId: app.clusterId,
    config,
    checkInvariants,
    clock: realClock,
    reclaimer: new GarbageCollection({
      storeBytes: sizeOf(boot.segments),
      handleCollectMs: config.handleCollectMs,
    }),
    arena,
    memoryWords: new MemoryWords(app.memoryWords),
    thread: boot.threadIndex,
    spilled: { disk: nodeDiskNow, prefix: app.spillPrefix },
    announceSegment: (segment, buffer) => post({ type: "segment", segment, buffer }),
    announceDrop: (segment) => post({ type: "dropSegment", segment }),
    forgetPeer: (peer) => transport.forget(peer),
    // The driver's process decides how long everything lives.
    keepAlive: () => {},
  });
  const { host } = process.client;
  const transport: ThreadTransport = new ThreadTransport({
    localSlots: [workerId],
    receiver: host,
    requestLink: (peer) => post({ type: "connect", peer }),
    onWork: () => poller.kick(),
  });
  const poller: Poller = new Poller({
    words,
    threadIndex: boot.threadIndex,
    idleTurnsMax,
    spinLooksMax,
    hasData: () => transport.hasControlData() || (host.wantsTask() && transport.hasTask()),
    pump: () => host.pump(),
  });
  host.connect(transport);
  const hostBell = new Bell(words, hostThreadIndex, port);
  transport.openLink([driverId, nodeId, gcsAddress], openLinkMemory(boot.memory, 1), hostBell);

  await addUserCode(process, arena, { app, checkInvariants });
  // A task that ended outside the pump made room for the next frame.
  host.onIdleWork(() => {
    if (host.wantsTask() && transport.hasTask()) poller.kick();
  });

  realmState().worker = {
    ...process,
    mode: "worker",
    namespace: app.namespace,
    runtime: {
      address: "threads",
      nodeId,
      clusterId: app.clusterId as ClusterId,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  };
  listen(port, words, { arena, transport, poller, host });
  process.client.arena.warmUp();
  post({ type: "ready" });
  poller.kick();
}

/** Loads modules of the user as tasks need them; what its objects hold is watched if asked for. */
async function addUserCode(
  process: Process,
  arena: SharedArena,
  { app, checkInvariants }: { app: WorkerApp; checkInvariants: boolean },
): Promise<void> {
  const loader = new ModuleLoader({
    importModule: (url) => importOutside(() => import(url)),
    // Every task that needs the module gets this error as its own.
    onImportFailed: () => {},
    loaderArgs: app.loaderArgs,
  });
  const resolve: ResolveRemote = (descriptor) => loader.resolveRemote(descriptor);
  if (!checkInvariants) {
    addExecutor(process, resolve);
    return;
  }
  const { LocalOracles } = await import("#sim/oracles/local-oracles.ts");
  const oracles = new LocalOracles(arena, "thread");
  const name = "this thread";
  oracles.watch(process, name);
  addExecutor(process, resolve, (code) => oracles.watchUserCode(process, name, code));
}

function listen(
  port: MessagePort,
  words: Int32Array,
  parts: { arena: SharedArena; transport: ThreadTransport; poller: Poller; host: Host },
): void {
  const { arena, transport, poller, host } = parts;
  port.on("message", (message: PortMessage) => {
    if (message === null) {
      poller.onNudge();
    } else if (message.type === "buffers") {
      host.onBuffersMoved(message.to, message.moved);
    } else if (message.type === "segment") {
      arena.add(message.segment, message.buffer);
    } else if (message.type === "dropSegment") {
      arena.drop(message.segment);
    } else if (message.type === "flushOutput") {
      void outputFlushed().then(() => port.postMessage({ type: "outputFlushed" }));
    } else if (message.type === "link") {
      const { peer, peerThreadIndex, memory, side, port: peerPort } = message;
      peerPort.on("message", (message: PortMessage) => {
        if (message?.type === "buffers") host.onBuffersMoved(message.to, message.moved);
        else poller.onNudge();
      });
      const bell = new Bell(words, peerThreadIndex, peerPort);
      transport.openLink([peer as WorkerId], openLinkMemory(memory, side), bell);
      poller.kick();
    }
  });
}

function sizeOf(segments: BootData["segments"]): number {
  return segments.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
}
