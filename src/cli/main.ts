#!/usr/bin/env node
/** The `mobula` command: finds the subcommand, and turns what went wrong into an exit code. */
import { packageVersion } from "./machine.ts";
import { simCommand, simUsage } from "./sim.ts";
import { UsageError } from "./usage-error.ts";

const usage = `mobula: Ray for TypeScript

${simUsage}
  mobula --version
  mobula --help
`;

const helpFlags = ["--help", "-h", "help"];
const exitCodes = { usage: 2 } as const;

/** The exit code: 0, 1 when what was looked for was found, 2 for a wrong call. */
async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command === undefined || args.some((argument) => helpFlags.includes(argument))) {
    process.stdout.write(usage);
    return command === undefined ? exitCodes.usage : 0;
  }
  if (command === "--version") {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  if (command === "sim") return simCommand(rest);
  throw new UsageError(`there is no command ${JSON.stringify(command)}\n\n${usage}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`mobula: ${error.message}\n`);
  process.exitCode = exitCodes.usage;
}
