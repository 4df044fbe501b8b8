import { describe, expect, test } from "bun:test";
import { Writable } from "node:stream";
import { BrokenPipe, Output } from "../../src/cli/output.ts";

describe("standard output", () => {
  test("waits for a slow reader instead of piling up", async () => {
    let produced = 0;
    let consumed = 0;
    let furthestAhead = 0;
    const output = new Output(
      new Writable({
        write(_chunk, _encoding, done) {
          consumed += 1;
          setTimeout(done, 1);
        },
      }),
    );
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (produced === 50) return controller.close();
        produced += 1;
        furthestAhead = Math.max(furthestAhead, produced - consumed);
        controller.enqueue(new Uint8Array(10));
      },
    });
    await output.pipe(source);
    expect(consumed).toBe(50);
    expect(furthestAhead).toBeLessThan(5);
  });

  test("shows nothing of a stranger's in JSON that ends a line or moves the cursor", async () => {
    let written = "";
    const stream = new Writable({
      write(chunk, _encoding, done) {
        written += chunk;
        done();
      },
    });
    await new Output(stream).json({ path: "a\u2028b\u009b2J" });
    expect(written).toBe('{"path":"a\\u2028b\\u009b2J"}\n');
  });

  test("says with an error of its own that nobody reads any more", async () => {
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
      },
    });
    const output = new Output(stream);
    expect(output.line("x")).rejects.toBeInstanceOf(BrokenPipe);
    expect(output.line("y")).rejects.toBeInstanceOf(BrokenPipe);
  });
});
