import { describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { RangeConnection } from "../../../src/pull/engine/connection.ts";
import type { FetchOrder, LaneProblem } from "../../../src/pull/engine/protocol.ts";

/** A host that answers each request with the same bytes, in the chunks given. */
function host(...chunks: string[]) {
  const requests: string[] = [];
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      async data(socket: Socket, data) {
        requests.push(data.toString());
        for (const chunk of chunks) {
          if (chunk === "<close>") socket.end();
          else socket.write(chunk);
          socket.flush();
          await Bun.sleep(5);
        }
      },
    },
  });
  return { server, requests, url: `http://127.0.0.1:${server.port}/blob?signature=a%20b` };
}

interface Outcome {
  readonly text: string;
  readonly problem: LaneProblem | undefined;
}

/** Asks for bytes 2 to 6 of ten. */
function ask(
  connection: RangeConnection,
  url: string,
  order: Partial<FetchOrder> = {},
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let text = "";
  const route = { url, headers: { authorization: "Bearer secret" } };
  connection.request(
    { start: 2, end: 6, size: 10, stallTimeout: 1000, route, ...order },
    {
      data(chunk) {
        text += chunk.toString();
        return true;
      },
      end: (problem) => resolve({ text, problem }),
    },
  );
  return promise;
}

async function answerTo(...chunks: string[]): Promise<Outcome> {
  const { server, url } = host(...chunks);
  const connection = RangeConnection.open({ url, headers: {} });
  try {
    return await ask(connection, url);
  } finally {
    connection.close();
    server.stop(true);
  }
}

const head = (...headers: string[]) =>
  ["HTTP/1.1 206 Partial Content", ...headers, "", ""].join("\r\n");
const right = head("Content-Range: bytes 2-5/10", "Content-Length: 4");

describe("RFC 9112: a connection for ranges", () => {
  test("brings exactly the bytes that were asked for", async () => {
    expect(await answerTo(`${right}2345`)).toEqual({ text: "2345", problem: undefined });
  });

  test("takes an answer in pieces of any size", async () => {
    const chunks = [...`${right}2345`];
    expect(await answerTo(...chunks)).toEqual({ text: "2345", problem: undefined });
  });

  test("passes over interim responses", async () => {
    const interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    expect(await answerTo(interim + right, "2345")).toMatchObject({ text: "2345" });
  });

  test("asks with the route's headers, the range and the validator, and nothing of its own", async () => {
    const { server, url, requests } = host(
      `${right.replace("\r\n\r\n", '\r\nETag: "one"\r\n\r\n')}2345`,
    );
    const connection = RangeConnection.open({ url, headers: {} });
    await ask(connection, url, { validator: '"one"' });
    expect(requests).toEqual([
      `GET /blob?signature=a%20b HTTP/1.1\r\nhost: ${new URL(url).host}\r\nauthorization: Bearer secret\r\nrange: bytes=2-5\r\nif-range: "one"\r\n\r\n`,
    ]);
    connection.close();
    server.stop(true);
  });

  test("is used again for the next part", async () => {
    const { server, url, requests } = host(`${right}2345`);
    const connection = RangeConnection.open({ url, headers: {} });
    await ask(connection, url);
    expect(connection.isReusable).toBe(true);
    expect(await ask(connection, url)).toMatchObject({ text: "2345" });
    expect(requests).toHaveLength(2);
    connection.close();
    server.stop(true);
  });

  test("isn't used again when its host says that it closes it", async () => {
    const closing = head("Content-Range: bytes 2-5/10", "Content-Length: 4", "Connection: close");
    const { server, url } = host(`${closing}2345`);
    const connection = RangeConnection.open({ url, headers: {} });
    expect(await ask(connection, url)).toMatchObject({ text: "2345" });
    expect(connection.isReusable).toBe(false);
    server.stop(true);
  });

  test.each([
    ["all of it", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", 200],
    ["a redirect", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\n\r\n", 307],
    ["a refusal", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 401],
    ["other bytes", `${head("Content-Range: bytes 3-6/10", "Content-Length: 4")}3456`, 206],
    [
      "bytes of something larger",
      `${head("Content-Range: bytes 2-5/11", "Content-Length: 4")}2`,
      206,
    ],
    ["no range", `${head("Content-Length: 4")}2345`, 206],
    ["another length", `${head("Content-Range: bytes 2-5/10", "Content-Length: 5")}23456`, 206],
    ["two lengths", `${right.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n")}2345`, 206],
    ["chunks", head("Content-Range: bytes 2-5/10", "Transfer-Encoding: chunked"), 206],
    ["compressed bytes", right.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n"), 206],
  ])("takes no byte of %s, and says what was answered", async (_, answer, status) => {
    const { text, problem } = await answerTo(answer);
    expect(text).toBe("");
    expect(problem?.status).toBe(status);
  });

  test.each<[string, ...string[]]>([
    ["something else than HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["a malformed head", "HTTP/1.1 206 OK\r\nno header\r\n\r\n"],
    ["a head with a control character in a name", "HTTP/1.1 206 OK\r\nA\tb: c\r\n\r\n"],
    ["a head without an end", `HTTP/1.1 206 OK\r\n${"a: b\r\n".repeat(60_000)}`],
    ["more than it said", `${right}23456`],
    ["less than it said", `${right}23`, "<close>"],
    ["nothing", "<close>"],
  ])("ends at %s", async (_, ...answer) => {
    const { problem } = await answerTo(...answer);
    expect(problem?.reason).toBeString();
    expect(problem).not.toHaveProperty("status");
  });

  test("passes over as many interim responses as there are", async () => {
    const interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(20_000);
    expect(await answerTo(interim, interim + right, "2345")).toMatchObject({ text: "2345" });
  });

  test("takes no byte of another protocol that its host goes over to", async () => {
    const { text, problem } = await answerTo(`HTTP/1.1 101 Switching\r\n\r\n${right}2345`);
    expect({ text, status: problem?.status }).toEqual({ text: "", status: 101 });
  });

  // A pattern that takes off white space tries every part of it for its end.
  test.each([
    ["before the end of a value", `A: b${" ".repeat(100_000)}c`],
    ["after which nothing is right", `A:${" ".repeat(100_000)}\n`],
  ])("isn't held up by much white space %s", async (_, line) => {
    const { problem } = await answerTo(`HTTP/1.1 206 OK\r\n${line}\r\n\r\n`);
    expect(problem?.reason).toBeString();
  });

  test.each<[string, Partial<FetchOrder>]>([
    ["a line break in a validator", { validator: '"a\r\nx-mine: yes"' }],
    ["what becomes one in latin1", { validator: '"a\u010d\u010ax-mine: yes"' }],
    [
      "a line break in a header",
      { route: { url: "http://127.0.0.1/", headers: { a: "b\r\nx-mine: yes" } } },
    ],
    [
      "a line break in the name of one",
      { route: { url: "http://127.0.0.1/", headers: { "a: b\nx-mine": "yes" } } },
    ],
  ])("asks nothing with %s", async (_, order) => {
    const { server, url, requests } = host(`${right}2345`);
    const connection = RangeConnection.open({ url, headers: {} });
    const { problem } = await ask(connection, url, order);
    expect(problem?.reason).toBeString();
    expect(connection.isReusable).toBe(false);
    await Bun.sleep(20);
    expect(requests).toEqual([]);
    server.stop(true);
  });

  test("asks with a URL as it was signed, whatever characters are in it", async () => {
    const { server, url, requests } = host(`${right}2345`);
    const signed = `${new URL(url).origin}/a%2Fb/%0d%0ax?X-Sig=a/b+c==&q='|%7C%0D%0A{é}#no`;
    const connection = RangeConnection.open({ url, headers: {} });
    const route = { url: signed, headers: {} };
    expect(await ask(connection, url, { route })).toMatchObject({ text: "2345" });
    const { pathname, search } = new URL(signed);
    expect(requests[0]?.split("\r\n")[0]).toBe(`GET ${pathname}${search} HTTP/1.1`);
    expect(requests[0]?.split("\r\n")).toHaveLength(5);
    connection.close();
    server.stop(true);
  });

  test("isn't used again when more comes after the answer, be it the next one", async () => {
    const { server, url, requests } = host(`${right}2345`, `${right}2345`);
    const connection = RangeConnection.open({ url, headers: {} });
    expect(await ask(connection, url)).toMatchObject({ text: "2345" });
    await Bun.sleep(50);
    expect(connection.isReusable).toBe(false);
    expect(requests).toHaveLength(1);
    server.stop(true);
  });

  test("ends where nobody listens", async () => {
    const { server, url } = host();
    server.stop(true);
    const { problem } = await ask(RangeConnection.open({ url, headers: {} }), url);
    expect(problem?.reason).toBe("the connection was refused");
  });

  test("reads no further than its receiver wants", async () => {
    const { server, url } = host(right, "23", "45");
    const connection = RangeConnection.open({ url, headers: {} });
    const { promise, resolve } = Promise.withResolvers<LaneProblem | undefined>();
    let text = "";
    connection.request(
      { start: 2, end: 6, size: 10, stallTimeout: 1000, route: { url, headers: {} } },
      {
        data(chunk) {
          text += chunk.toString();
          return false;
        },
        end: resolve,
      },
    );
    expect(await promise).toBeUndefined();
    expect(text).toBe("23");
    expect(connection.isReusable).toBe(false);
    server.stop(true);
  });
});
