/** The smallest program: one remote function, three calls, all at once. */
import { get, init, remote } from "mobula";

const square = remote((x: number) => x * x);

await init({ localMode: process.argv.includes("--local") });

const refs = [1, 2, 3].map((x) => square.remote(x));
console.log(await get(refs));
