/** `Event.timeStamp` as user code sees it: by the monotonic clock of its machine. */
import type { FindProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

type EventClass = new (...args: never[]) => Event;

const stamps = new WeakMap<Event, number>();

export function replaceTimeStamp(find: FindProcess, replacements: Replacements): void {
  const { prototype } = Event;
  const realStamp = Object.getOwnPropertyDescriptor(prototype, "timeStamp")?.get as () => number;
  replacements.getter(prototype, "timeStamp", function timeStamp(this: Event) {
    const real = realStamp.call(this);
    const process = find();
    if (process === null) return real;
    // One that Node itself made, such as a signal's, has the time of the first look at it.
    const known = stamps.get(this) ?? process.monotonicMs();
    stamps.set(this, known);
    return known;
  });
}

/** What the program makes itself has the time at which it was made. */
export function replaceEvents(find: FindProcess, replacements: Replacements): void {
  for (const name of ["Event", "CustomEvent"] as const) {
    const construct = (target: EventClass, args: unknown[], newTarget: unknown): Event => {
      const event = Reflect.construct(target, args, newTarget as EventClass) as Event;
      const process = find();
      if (process !== null) stamps.set(event, process.monotonicMs());
      return event;
    };
    replacements.value(globalThis, name, new Proxy(globalThis[name] as EventClass, { construct }));
  }
}
