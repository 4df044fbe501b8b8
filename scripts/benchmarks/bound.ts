/**
 * What nobody can go below here: the least that a pull has to do, each part measured alone.
 * `bun bound.ts receive URL FILE SIZE` reads a blob with eight ranges at once and writes it,
 * `bun bound.ts hash FILE` computes its sha256, `bun bound.ts write FILE SIZE` only writes.
 */
import { open } from "node:fs/promises";

const CONNECTIONS = 8;
const PIECE = 8 * 2 ** 20;

async function receive(url: string, path: string, size: number): Promise<void> {
  await using file = await open(path, "w");
  let next = 0;
  const worker = async () => {
    while (next < size) {
      const start = next;
      next += PIECE;
      const headers = { range: `bytes=${start}-${Math.min(size, start + PIECE) - 1}` };
      const response = await fetch(url, { headers, decompress: false } as BunFetchRequestInit);
      if (response.status !== 206 || !response.body) throw new Error(`${response.status}`);
      let position = start;
      for await (const chunk of response.body) {
        await file.write(chunk, 0, chunk.byteLength, position);
        position += chunk.byteLength;
      }
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
}

async function hash(path: string): Promise<void> {
  await using file = await open(path, "r");
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(2 ** 20);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength);
    if (bytesRead === 0) break;
    hasher.update(buffer.subarray(0, bytesRead));
  }
  process.stdout.write(hasher.digest("hex"));
}

async function write(path: string, size: number): Promise<void> {
  await using file = await open(path, "w");
  const buffer = new Uint8Array(2 ** 20).fill(1);
  for (let position = 0; position < size; position += buffer.byteLength) {
    await file.write(buffer, 0, Math.min(buffer.byteLength, size - position), position);
  }
}

const [what, ...words] = process.argv.slice(2);
if (what === "receive") await receive(words[0] ?? "", words[1] ?? "", Number(words[2]));
else if (what === "write") await write(words[0] ?? "", Number(words[1]));
else await hash(words[0] ?? "");
