import { describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { RegistryClient } from "../../src/registry/client.ts";

const content = new TextEncoder().encode("0123456789");
const blob = { digest: digestOf(content), size: content.byteLength };

/** Asks a server of its own for bytes 2 to 5. */
async function ask(
  answer: (request: Request) => Response,
  request: { start?: number; end?: number; validator?: string } = {},
) {
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  const repository = parseReference(`127.0.0.1:${server.port}/user/model:v1`);
  const client = new RegistryClient({ env: {} });
  const [source] = client.blobSources(repository);
  if (!source) throw new Error("there is no source");
  const piece = await client.openPiece(source, repository, blob, { start: 2, end: 6, ...request });
  if (piece.kind === "part" || piece.kind === "whole") {
    return { ...piece, text: await new Response(piece.body).text() };
  }
  return piece;
}

const part = (headers: Record<string, string> = {}) =>
  new Response(content.slice(2, 6), {
    status: 206,
    headers: { "content-range": "bytes 2-5/10", etag: '"one"', ...headers },
  });

describe("RFC 9110, 14: one request for a part of a blob", () => {
  test("brings the bytes, their validator, and a direct way to further ones", async () => {
    let asked: Headers | undefined;
    const piece = await ask((request) => {
      asked = request.headers;
      return part();
    });
    expect(asked?.get("range")).toBe("bytes=2-5");
    expect(asked?.get("if-range")).toBeNull();
    expect(piece).toMatchObject({ kind: "part", text: "2345", validator: '"one"' });
    if (piece.kind !== "part") throw new Error("it isn't a part");
    expect(piece.direct?.url).toEndWith(`/v2/user/model/blobs/${blob.digest}`);
    expect(Object.keys(piece.direct?.headers ?? {})).not.toContain("range");
  });

  test("asks with the validator that an earlier answer had", async () => {
    let condition: string | null = null;
    const piece = await ask(
      (request) => {
        condition = request.headers.get("if-range");
        return part();
      },
      { validator: '"one"' },
    );
    expect(condition as string | null).toBe('"one"');
    expect(piece).toMatchObject({ kind: "part", text: "2345" });
  });

  test("takes no bytes of content that has changed", async () => {
    const piece = await ask(() => part({ etag: '"two"' }), { validator: '"one"' });
    expect(piece.kind).toBe("unusable");
  });

  test.each([
    ["a weak validator", 'W/"one"'],
    ["one with other characters than ASCII", '"\u00e9"'],
    ["one that has no end", '"one'],
    ["one with something after it", '"one", "two"'],
  ])("doesn't trust %s with ranges", async (_, etag) => {
    const piece = await ask(() => part({ etag }));
    expect(piece).toMatchObject({ kind: "part" });
    expect(piece).not.toHaveProperty("validator");
  });

  test("says when a host sends all of it instead", async () => {
    const piece = await ask(() => new Response(content));
    expect(piece).toMatchObject({ kind: "whole", text: "0123456789" });
  });

  test("asks for all of it without a range", async () => {
    const piece = await ask(
      (request) => new Response(request.headers.has("range") ? "part" : content),
      { start: 0, end: 10 },
    );
    expect(piece).toMatchObject({ kind: "whole", text: "0123456789" });
  });

  test.each([
    ["other bytes", () => part({ "content-range": "bytes 3-6/10" })],
    ["a part of something larger", () => part({ "content-range": "bytes 2-5/11" })],
    ["no Content-Range", () => new Response(content.slice(2, 6), { status: 206 })],
    ["too many bytes", () => part({ "content-range": "bytes 2-6/10" })],
    ["all of something larger", () => new Response("0123456789ab")],
    ["a refusal of the range", () => new Response("no", { status: 416 })],
  ])("can't use %s", async (_, answer) => {
    expect((await ask(answer)).kind).toBe("unusable");
  });

  test.each([
    [404, { kind: "refused", attempts: 1, answered: true }],
    [403, { kind: "refused", attempts: 1, answered: true }],
    [500, { kind: "refused", attempts: 5, answered: true }],
    [503, { kind: "refused", attempts: Number.POSITIVE_INFINITY, answered: true }],
  ])("hands on a refusal with status %i, without trying again", async (status, expected) => {
    let requests = 0;
    const piece = await ask(() => {
      requests++;
      return new Response("no", { status });
    });
    expect(piece).toMatchObject(expected);
    expect(requests).toBe(1);
  });

  test("says how long a busy host wants to be left alone", async () => {
    const busy = new Response("", { status: 429, headers: { "retry-after": "7" } });
    expect(await ask(() => busy)).toMatchObject({ kind: "refused", retryAfter: 7000 });
  });

  test("says when a host can't be reached", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const repository = parseReference(`127.0.0.1:${server.port}/user/model:v1`);
    await server.stop(true);
    const client = new RegistryClient({ env: {} });
    const [source] = client.blobSources(repository);
    if (!source) throw new Error("there is no source");
    const piece = await client.openPiece(source, repository, blob, { start: 0, end: 10 });
    expect(piece).toMatchObject({ kind: "refused", answered: false });
  });
});
