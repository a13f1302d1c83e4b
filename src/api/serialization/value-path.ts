/** Where the encoder is inside a value; kept cheap, and put into words only for an error. */

type Step = "codec" | "index" | "itself" | "mapKey" | "mapValue" | "member" | "property";

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;

export class ValuePath {
  #depth = 0;
  #root = "";
  #keys: unknown[] = [];
  #steps: Step[] = [];
  #holdsObjects = false;

  start(root: string): void {
    this.#root = root;
    this.#depth = 0;
  }

  get depth(): number {
    return this.#depth;
  }

  /** Into a container: until a child is named the place is the container's own. */
  enter(): void {
    this.#depth += 1;
    this.#steps[this.#depth] = "itself";
  }

  leave(): void {
    this.#depth -= 1;
  }

  /** Names the child of the innermost container that comes next. */
  set(step: Step, key: unknown): void {
    this.#steps[this.#depth] = step;
    this.#keys[this.#depth] = key;
  }

  /** As `set`, for the value of a Map: its key may be an object of the user. */
  setMapValue(key: unknown): void {
    this.set("mapValue", key);
    if (typeof key === "object") this.#holdsObjects = true;
  }

  /** Lets go of the user's objects. */
  clear(): void {
    if (!this.#holdsObjects) return;
    this.#holdsObjects = false;
    this.#keys = [];
  }

  text(): string {
    let text = this.#root;
    for (let depth = 1; depth <= this.#depth; depth++) {
      text += stepText(this.#steps[depth] as Step, this.#keys[depth]);
    }
    return text;
  }
}

function stepText(step: Step, key: unknown): string {
  switch (step) {
    case "itself":
      return "";
    case "codec":
      return ".serialize()";
    case "index":
      return `[${String(key)}]`;
    case "property": {
      const name = String(key);
      return identifier.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
    }
    case "mapKey":
      return `.keys()[${String(key)}]`;
    case "mapValue":
      return `.get(${keyText(key)})`;
    case "member":
      return `.values()[${String(key)}]`;
  }
}

function keyText(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key);
  if (typeof key === "bigint") return `${key}n`;
  return typeof key === "object" && key !== null ? "{…}" : String(key);
}
