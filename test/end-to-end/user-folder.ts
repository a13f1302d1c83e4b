/** A folder as a user has it: our package in its node_modules, programs beside it, nothing else. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ended, runNode } from "../package/run-command.ts";
import { projectRoot } from "../tidy/source-files.ts";

interface RunOptions {
  readonly nodeArgs?: readonly string[];
  readonly args?: readonly string[];
  readonly timeoutMs?: number;
}

export class UserFolder {
  readonly path: string;

  constructor() {
    this.path = realpathSync(mkdtempSync(join(tmpdir(), "mobula-user-")));
    mkdirSync(join(this.path, "node_modules"));
    symlinkSync(projectRoot, join(this.path, "node_modules/mobula"), "junction");
    this.write("package.json", `{ "type": "module" }\n`);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  run(name: string, { nodeArgs = [], args = [], timeoutMs }: RunOptions = {}): Promise<Ended> {
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    return runNode([...nodeArgs, join(this.path, name), ...args], { cwd: this.path, ...limit });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
