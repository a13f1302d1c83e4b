/**
 * Writes .oxlintrc.json. The file is committed; the tidy test fails when it is not what this
 * writes.
 */
import { writeFileSync } from "node:fs";
import { oxlintConfigText } from "./oxlint-config.ts";

writeFileSync(new URL("../.oxlintrc.json", import.meta.url), oxlintConfigText());
