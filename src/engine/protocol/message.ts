/** Everything one process may say to another. A message never changes after it was sent. */
import type { CopyMessage } from "./copy.ts";
import type { GcsMessage } from "./gcs.ts";
import type { LeaseMessage } from "./lease.ts";
import type { ObjectMessage } from "./object.ts";
import type { TaskMessage } from "./task.ts";

export type Message = LeaseMessage | TaskMessage | ObjectMessage | CopyMessage | GcsMessage;
export type MessageType = Message["type"];
