/** Errors: their words, their brand across two copies of the package, and how they travel. */
import { afterEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import * as errors from "#api/errors.ts";
import { inspectSerializability } from "#api/serialization/inspect-serializability.ts";
import { portableError } from "#api/serialization/portable-error.ts";
import { registerClass } from "#api/serialization/registered-classes.ts";
import { refusal, roundTrip } from "./round-trip.ts";

const {
  ActorDiedError,
  ActorError,
  GetTimeoutError,
  MobulaError,
  ObjectLostError,
  ObjectReconstructionFailedError,
  OwnerDiedError,
  SerializationError,
  TaskError,
} = errors;
const classes = Object.entries(errors).filter(
  ([name]) => name.endsWith("Error") && /^[A-Z]/.test(name),
);

const whyNot = (value: unknown): string | undefined => inspectSerializability(value)?.reason;

afterEach(() => vi.resetModules());

describe("words", () => {
  test.each(classes)("%s", (name, value) => {
    const cls = value as unknown as new (message: string, fields?: object) => errors.MobulaError;
    const cause = new Error("why");
    const error = new cls("what", { cause });
    expect(error.name).toBe(name);
    expect(error._tag).toBe(name);
    expect(error.code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(error.cause).toBe(cause);
    expect(String(error)).toBe(`${name}: what`);
    expect(error.stack).toContain(`${name}: what`);
    expect(error).toBeInstanceOf(cls);
    expect(error).toBeInstanceOf(MobulaError);
    expect(error).toBeInstanceOf(Error);
    expect(Object.keys(error)).not.toContain("name");
    expect(Object.hasOwn(new cls("what"), "cause")).toBe(false);
  });

  test("codes are one each", () => {
    const codes = classes.map(
      ([, cls]) => (cls as unknown as { prototype: errors.MobulaError }).prototype.code,
    );
    expect(new Set(codes).size).toBe(classes.length);
    expect(new GetTimeoutError("x").code).toBe("GET_TIMEOUT");
  });

  test("fields", () => {
    const taskId = "ab" as never;
    expect(new TaskError("x", { taskId, taskName: "f" })).toMatchObject({ taskId, taskName: "f" });
    expect(new SerializationError("x", { path: "args[0]" }).path).toBe("args[0]");
    const lost = new ObjectReconstructionFailedError("x", { objectId: taskId, reason: "PUT" });
    expect(lost).toMatchObject({ objectId: taskId, reason: "PUT" });
    expect(new errors.DeadlockError("x", { cycle: ["a", "b"] }).cycle).toEqual(["a", "b"]);
  });

  test("a union narrows by name and by tag", () => {
    const error = new TaskError("x", { taskName: "f" }) as
      | errors.TaskError
      | errors.GetTimeoutError;
    if (error.name === "TaskError") expectTypeOf(error).toEqualTypeOf<errors.TaskError>();
    if (error._tag === "GetTimeoutError")
      expectTypeOf(error.name).toEqualTypeOf<"GetTimeoutError">();
    expect(error.name).toBe("TaskError");
  });
});

describe("brand", () => {
  test("follows the chain of names, not only the prototype", () => {
    const owner = new OwnerDiedError("x");
    expect(owner).toBeInstanceOf(ObjectLostError);
    expect(new ActorDiedError("x")).toBeInstanceOf(ActorError);
    expect(owner).not.toBeInstanceOf(ActorError);
    expect(new ObjectLostError("x")).not.toBeInstanceOf(OwnerDiedError);
    expect(new Error("x")).not.toBeInstanceOf(MobulaError);
    expect(null).not.toBeInstanceOf(MobulaError);
  });

  test("a user's subclass goes by its prototype", () => {
    class Mine extends GetTimeoutError {}
    expect(new Mine("x")).toBeInstanceOf(Mine);
    expect(new Mine("x")).toBeInstanceOf(GetTimeoutError);
    expect(new GetTimeoutError("x")).not.toBeInstanceOf(Mine);
  });

  test("two copies of the package agree", async () => {
    vi.resetModules();
    const copy = await import("#api/errors.ts");
    expect(copy.TaskError).not.toBe(TaskError);
    const theirs = new copy.OwnerDiedError("x", { objectId: "cd" as never });
    expect(theirs).toBeInstanceOf(ObjectLostError);
    expect(theirs).not.toBeInstanceOf(TaskError);
    Object.defineProperty(copy.OwnerDiedError, "name", { value: "minified" });
    const arrived = roundTrip(theirs);
    expect(Object.getPrototypeOf(arrived)).toBe(OwnerDiedError.prototype);
    expect(arrived.objectId).toBe("cd");
  });
});

describe("travel", () => {
  test("built-in classes with message, stack, cause, own fields and no others", () => {
    const original = Object.assign(new RangeError("far", { cause: [new TypeError("in")] }), {
      code: "E_FAR",
      detail: { deep: new Map([[1, 2]]) },
    });
    const arrived = roundTrip(original);
    expect(arrived).toBeInstanceOf(RangeError);
    expect(Object.keys(arrived)).toEqual(["code", "detail"]);
    expect(arrived.stack).toBe(original.stack);
    expect(arrived.detail).toEqual(original.detail);
    expect((arrived.cause as unknown[])[0]).toBeInstanceOf(TypeError);
    expect(Object.getOwnPropertyDescriptor(arrived, "message")?.enumerable).toBe(false);
    expect(Object.hasOwn(arrived, "name")).toBe(false);
    expect(Object.hasOwn(roundTrip(new Error("x")), "cause")).toBe(false);
    expect(Object.hasOwn(roundTrip(new Error("x", { cause: undefined })), "cause")).toBe(true);
  });

  test.each<[name: string, message: unknown]>([
    ["an object", { a: 1 }],
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["a bigint", 5n],
    ["a function", () => 1],
    ["what says its text", { toString: () => "said" }],
  ])("a message that is %s becomes its text, as for structuredClone", (_name, message) => {
    const original = Object.assign(new RangeError("x"), { message });
    const expected = Object.getOwnPropertyDescriptor(structuredClone(original), "message");
    expect(Object.getOwnPropertyDescriptor(roundTrip(original), "message")).toEqual(expected);
    expect(roundTrip(portableError(original, whyNot)).message).toBe(expected?.value);
  });

  test("a name or stack that is no string, and a message that is got, become text", () => {
    const hidden = (key: string, value: unknown): Error =>
      roundTrip(Object.defineProperty(new Error("x"), key, { value }));
    expect(hidden("name", { a: 1 }).name).toBe("[object Object]");
    const symbol = Object.assign(new Error("x"), { message: Symbol("s") });
    expect(roundTrip(portableError(symbol as unknown as Error, whyNot)).message).toBe("Symbol(s)");
    expect(hidden("stack", ["f (a:1:2)", "g (a:3:4)"]).stack).toBe("f (a:1:2),g (a:3:4)");
    for (const none of [undefined, null, Object.create(null)]) {
      expect(Object.hasOwn(hidden("stack", none), "stack")).toBe(false);
    }
    const got = Object.defineProperty(new Error("x"), "message", { get: () => ({ a: 1 }) });
    expect(roundTrip(got).message).toBe("[object Object]");
    class Inherits extends Error {
      override get message(): string {
        return 7 as unknown as string;
      }
    }
    expect(roundTrip(new Inherits()).message).toBe("7");
  });

  test("a message that has no text is refused by its place, and told where it is thrown", () => {
    const message = Object.create(null) as unknown;
    const original = Object.assign(new Error("x"), { message, code: "E" });
    expect(() => structuredClone(original)).toThrow(TypeError);
    expect(refusal({ e: original }).path).toBe("args.e.message");
    const arrived = roundTrip(portableError(original, whyNot));
    expect(arrived.message).toMatch(/not serializable: reading it threw: Cannot convert object/);
    expect(arrived).toMatchObject({ code: "E" });
  });

  test("one without a stack gets none", () => {
    const original = new Error("x");
    delete original.stack;
    expect(Object.hasOwn(roundTrip(original), "stack")).toBe(false);
  });

  test("system errors keep their code", () => {
    const original = Object.assign(new Error("ENOENT"), {
      errno: -2,
      code: "ENOENT",
      syscall: "open",
    });
    expect(roundTrip(original)).toMatchObject({ errno: -2, code: "ENOENT", syscall: "open" });
  });

  test("AggregateError, DOMException", () => {
    const group = roundTrip(new AggregateError([new SyntaxError("a"), 1], "all"));
    expect(group).toBeInstanceOf(AggregateError);
    expect(group.errors[0]).toBeInstanceOf(SyntaxError);
    expect(Object.keys(group)).toEqual([]);
    const aborted = roundTrip(new DOMException("stop", "AbortError"));
    expect(aborted).toBeInstanceOf(DOMException);
    expect([aborted.name, aborted.message, aborted.code]).toEqual(["AbortError", "stop", 20]);
  });

  test("an unknown class becomes its nearest known ancestor, with its name", () => {
    class QuotaError extends TypeError {
      override name = "QuotaError";
      left = 3;
    }
    class Silent extends Error {
      override get name(): string {
        return "Silent";
      }
    }
    const arrived = roundTrip(new QuotaError("over"));
    expect(Object.getPrototypeOf(arrived)).toBe(TypeError.prototype);
    expect([arrived.name, arrived.message, arrived.left]).toEqual(["QuotaError", "over", 3]);
    const silent = roundTrip(new Silent("x"));
    expect(Object.getPrototypeOf(silent)).toBe(Error.prototype);
    expect(String(silent)).toBe("Silent: x");
  });

  test("a registered class is revived, for its subclasses too", () => {
    class HttpError extends Error {
      status: number;
      constructor(status: number) {
        super(`status ${status.toFixed()}`);
        this.status = status;
      }
    }
    class NotFound extends HttpError {}
    registerClass(HttpError);
    const arrived = roundTrip([new HttpError(500), new NotFound(404)]);
    for (const error of arrived) expect(Object.getPrototypeOf(error)).toBe(HttpError.prototype);
    expect(arrived.map((error) => error.status)).toEqual([500, 404]);
  });

  test("below a class with a codec only what is known is revived", () => {
    class Sealed extends TypeError {
      #secret = 1;
      get secret(): number {
        return this.#secret;
      }
    }
    class Inner extends Sealed {}
    registerClass(Sealed, { serialize: () => 0, deserialize: () => new Sealed() });
    expect(roundTrip(new Sealed()).secret).toBe(1);
    expect(Object.getPrototypeOf(roundTrip(new Inner()))).toBe(TypeError.prototype);
  });

  test("our own, with fields and cause", () => {
    const cause = Object.assign(new TypeError("bad"), { code: "E" });
    const arrived = roundTrip(new TaskError("x", { taskName: "f", taskId: "ab" as never, cause }));
    expect(Object.getPrototypeOf(arrived)).toBe(TaskError.prototype);
    expect(arrived).toMatchObject({ taskName: "f", taskId: "ab", name: "TaskError" });
    expect(arrived.cause).toBeInstanceOf(TypeError);
    expect(arrived.cause).toMatchObject({ code: "E" });
  });

  test("cycles and shared causes", () => {
    const error: Error & { self?: unknown } = new Error("x");
    error.self = error;
    error.cause = { error };
    const arrived = roundTrip(error);
    expect(arrived.self).toBe(arrived);
    expect((arrived.cause as { error: unknown }).error).toBe(arrived);
  });

  test("a field that cannot be made again does not cost the others", () => {
    class Broken {
      at = 1;
    }
    const deserialize = (): Broken => {
      throw new RangeError("not here");
    };
    registerClass(Broken, { serialize: ({ at }) => at, deserialize });
    const broken = new Broken();
    const error = Object.assign(new TypeError("outer"), { broken, again: [broken], status: 500 });
    expect(() => roundTrip(error)).toThrow(/codec of Broken threw/);
    const arrived = roundTrip(error, { lenient: true });
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived).toMatchObject({ message: "outer", status: 500, stack: error.stack });
    expect(arrived.broken).toBeInstanceOf(SerializationError);
    expect(arrived.again[0]).toBe(arrived.broken);
  });

  test("one that cannot travel can be made to", () => {
    const inner = Object.assign(new RangeError("inner"), { request: (): void => undefined });
    const error = Object.assign(new TypeError("outer", { cause: inner }), { status: 500 });
    expect(() => roundTrip(error)).toThrow(SerializationError);
    const arrived = roundTrip(portableError(error, whyNot));
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived).toMatchObject({ message: "outer", status: 500, stack: error.stack });
    expect(arrived.cause).toBeInstanceOf(RangeError);
    expect((arrived.cause as typeof inner).request).toMatch(/not serializable: function/);
    inner.cause = error;
    expect(roundTrip(portableError(error, whyNot))).toBeInstanceOf(TypeError);
  });
});
