import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** A full collection, so that one measurement does not pay for the garbage of another. */
export function collectGarbage(): void {
  collect();
}
