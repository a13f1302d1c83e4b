/** What the caller of a command got wrong: printed without a stack, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
