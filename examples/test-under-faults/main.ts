/** The same code outside of the tests: `tsx main.ts`, or in one thread with `--local`. */
import { init } from "mobula";
import { countWords, insist } from "./word-count.ts";

await init({ localMode: process.argv.includes("--local") });

const texts = ["the quick brown fox", "jumps over the lazy dog", "the dog sleeps"];
console.log(await insist(() => countWords.remote(texts)));
