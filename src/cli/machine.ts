/** What a figure means nothing without: the machine, and the versions. */
import { readFileSync } from "node:fs";
import os from "node:os";

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
  const { node, v8 } = process.versions;
  return { node, v8, mobula: packageVersion() };
}

export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
