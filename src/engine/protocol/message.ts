/** Everything one process may say to another. A message never changes after it was sent. */
import type { CancelMessage } from "./cancel.ts";
import type { CopyMessage } from "./copy.ts";
import type { ExplainMessage } from "./explain.ts";
import type { GcsMessage } from "./gcs.ts";
import type { HoldMessage } from "./hold.ts";
import type { LeaseMessage } from "./lease.ts";
import type { ObjectMessage } from "./object.ts";
import type { ProbeMessage } from "./probe.ts";
import type { StateMessage } from "./state.ts";
import type { TaskMessage } from "./task.ts";

export type Message =
  | LeaseMessage
  | TaskMessage
  | ObjectMessage
  | CopyMessage
  | HoldMessage
  | GcsMessage
  | ProbeMessage
  | ExplainMessage
  | StateMessage
  | CancelMessage;
export type MessageType = Message["type"];
