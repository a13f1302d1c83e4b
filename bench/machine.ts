/** The versions measured: what figures mean nothing without, as the machine. */
import { readFileSync } from "node:fs";
import { describeVersions as ownVersions } from "../src/cli/machine.ts";

export { describeMachine } from "../src/cli/machine.ts";

const peers = ["piscina", "tinypool", "workerpool", "poolifier", "comlink"];

export function describeVersions(): Readonly<Record<string, string>> {
  const theirs = peers.map((peer) => [peer, versionOf(peer)] as const);
  return { ...ownVersions(), ...Object.fromEntries(theirs) };
}

function versionOf(peer: string): string {
  const url = new URL(`../node_modules/${peer}/package.json`, import.meta.url);
  const manifest: unknown = JSON.parse(readFileSync(url, "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
    return String(manifest.version);
  }
  throw new Error(`${peer} has no version`);
}
