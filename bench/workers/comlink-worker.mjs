/** Exposes one counter through comlink: the shape of its README, on a worker thread. */
import { parentPort } from "node:worker_threads";
import { expose } from "comlink";
import nodeEndpoint from "comlink/dist/umd/node-adapter.js";
import { Counter } from "./tasks.mjs";

expose(new Counter(), nodeEndpoint(parentPort));
