/** Runs command lines in this process, with streams that remember what was written. */
import { Writable } from "node:stream";
import { run } from "../../src/cli/run.ts";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface WorldOptions {
  env?: Record<string, string | undefined>;
  stdin?: string;
  signal?: AbortSignal;
}

export async function ocireg(
  words: readonly string[],
  options: WorldOptions = {},
): Promise<Outcome> {
  const chunks: Buffer[] = [];
  let stderr = "";
  const code = await run(words, {
    stdout: new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    }),
    stderr: { write: (text) => (stderr += text) },
    stdin: () => new Blob([options.stdin ?? ""]).stream(),
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, stdout: Buffer.concat(chunks).toString(), stderr };
}
