/** Where a transfer thread begins: an entry point of its own, beside main.ts. */
import type { Command } from "./pull/engine/protocol.ts";
import { TransferThread } from "./pull/engine/thread.ts";

declare const self: Worker;

self.onmessage = ({ data: budget }: MessageEvent<SharedArrayBuffer | undefined>) => {
  const thread = new TransferThread((report) => self.postMessage(report), budget);
  self.onmessage = ({ data }: MessageEvent<Command>) => thread.obey(data);
};
