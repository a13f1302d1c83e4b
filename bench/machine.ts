/** What a figure means nothing without: the machine, and the versions measured. */
import { readFileSync } from "node:fs";
import os from "node:os";

const root = new URL("../", import.meta.url);
const peers = ["piscina", "tinypool", "workerpool", "poolifier", "comlink"];

export function describeMachine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model ?? "unknown",
    cpuCount: cpus.length,
    memoryBytes: os.totalmem(),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    loadAverage: os.loadavg(),
  };
}

export function describeVersions(): Readonly<Record<string, string>> {
  const versions: Record<string, string> = {
    node: process.versions.node,
    v8: process.versions.v8,
    mobula: readVersion("package.json"),
  };
  for (const peer of peers) versions[peer] = readVersion(`node_modules/${peer}/package.json`);
  return versions;
}

function readVersion(path: string): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL(path, root), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
    return String(manifest.version);
  }
  throw new Error(`${path} has no version`);
}
