import { expect, test } from "bun:test";
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Report } from "../../../src/pull/engine/protocol.ts";
import { TransferThread } from "../../../src/pull/engine/thread.ts";
import { makeCertificate, tlsOf } from "../../support/certificates.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { testWith } from "../../support/tools.ts";

/** A thread that is spoken to from here. */
function startThread() {
  const waiting: ((report: Report) => void)[] = [];
  const thread = new TransferThread((report) => {
    if (report.type === "ended" || report.type === "broken") waiting.shift()?.(report);
  }, undefined);
  return {
    obey: (command: Command) => thread.obey(command),
    /** Obeys, and waits for how that ends. */
    end: (command: Command) =>
      new Promise<Report>((resolve) => {
        waiting.push(resolve);
        thread.obey(command);
      }),
  };
}

/** A file for a blob of ten bytes. */
function newFile(): string {
  const path = join(temporaryDirectory(), "blob");
  writeFileSync(path, "");
  truncateSync(path, 10);
  return path;
}

const order = { job: 1, start: 2, end: 6, size: 10, stallTimeout: 1000 };

testWith(
  "openssl",
  "a thread uses a connection for those alone who trust and show the same",
  async () => {
    const made = tlsOf(await makeCertificate("IP:127.0.0.1"));
    let requests = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: made,
      fetch: () => {
        requests++;
        return new Response("2345", { status: 206, headers: { "content-range": "bytes 2-5/10" } });
      },
    });
    const { obey, end } = startThread();
    const path = newFile();
    obey({ type: "open", job: 1, path, size: 10 });
    const url = `https://127.0.0.1:${server.port}/blob`;
    const ask = (lane: number, tls?: Bun.TLSOptions) =>
      end({ ...order, type: "fetch", lane, route: { url, headers: {}, tls } });

    expect(await ask(1, { ca: made.cert })).toEqual({ type: "ended", lane: 1, position: 6 });
    expect(readFileSync(path, "latin1")).toBe("\0\x002345\0\0\0\0");
    expect(await ask(2)).toMatchObject({
      position: 2,
      problem: { reason: expect.stringContaining("SELF_SIGNED") },
    });
    expect(requests).toBe(1);
    expect(await ask(3, { ca: made.cert })).toMatchObject({ position: 6 });
    await server.stop(true);
  },
);

test("a thread writes into no file that was put in the place of the blob's", async () => {
  const theirs = newFile();
  const path = join(temporaryDirectory(), "blob");
  symlinkSync(theirs, path);
  const broken = await startThread().end({ type: "open", job: 1, path, size: 10 });
  expect(broken).toMatchObject({ type: "broken", code: "ELOOP" });
});
