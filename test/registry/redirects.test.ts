import { describe, expect, test } from "bun:test";
import {
  blobOf,
  failureOf,
  newClient,
  startHost,
  startRawHost,
  type TestHost,
} from "./fixtures.ts";

const { bytes, descriptor } = blobOf("redirected content");

/** A registry that wants a password and then sends everybody to `target`. */
function startRedirecting(target: (url: URL) => string, status = 307): TestHost {
  return startHost((request, url) => {
    if (!request.headers.has("authorization")) {
      return new Response(null, {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="r"' },
      });
    }
    return new Response("moved", { status, headers: { location: target(url) } });
  });
}

function open({ host }: TestHost): Promise<ReadableStream<Uint8Array>> {
  const options = { username: "me", password: "hidden", credentialRegistry: host };
  return newClient(options).client.openBlob({ registry: host, repository: "a" }, descriptor);
}

async function read(host: TestHost): Promise<string> {
  return new Response(await open(host)).text();
}

describe("redirects", () => {
  test.each([301, 302, 303, 307, 308])(
    "(%d) are followed without our credentials",
    async (status) => {
      const storage = startHost(() => new Response(bytes));
      const target = `http://${storage.host}/data?X-Signature=abc%2Fd%3D`;
      const registry = startRedirecting(() => target, status);
      expect(await read(registry)).toBe("redirected content");
      expect(storage.authorizations).toEqual([null]);
      expect(storage.requests).toEqual(["GET /data?X-Signature=abc%2Fd%3D"]);
    },
  );

  test("on the same host keep our credentials", async () => {
    const registry = startHost((request, url) => {
      if (!request.headers.has("authorization")) {
        const headers = { "www-authenticate": 'Basic realm="r"' };
        return new Response(null, { status: 401, headers });
      }
      return url.pathname === "/data"
        ? new Response(bytes)
        : new Response(null, { status: 307, headers: { location: "/data" } });
    });
    expect(await read(registry)).toBe("redirected content");
  });

  test("don't bring credentials back by way of another host", async () => {
    const detour: TestHost = startHost(() => Response.redirect(`http://${registry.host}/end`, 307));
    const registry: TestHost = startHost((request, url) => {
      if (url.pathname === "/end") return new Response(bytes);
      if (!request.headers.has("authorization")) {
        const headers = { "www-authenticate": 'Basic realm="r"' };
        return new Response(null, { status: 401, headers });
      }
      return Response.redirect(`http://${detour.host}/`, 307);
    });
    expect(await read(registry)).toBe("redirected content");
    expect(registry.requests.at(-1)).toBe("GET /end");
    expect(registry.authorizations.at(-1)).toBeNull();
  });

  test("don't make credentials of what a location has before its @", async () => {
    const storage = startHost(() => new Response(bytes));
    await read(startRedirecting(() => `http://user:password@${storage.host}/`));
    expect(storage.authorizations).toEqual([null]);
  });

  test("aren't followed for ever", async () => {
    let count = 0;
    const registry = startRedirecting(() => `/again/${count++}`);
    const failure = await failureOf(open(registry));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("redirects more than 5 times");
    expect(registry.requests.length).toBe(7);
  });

  test.each(["file:///etc/passwd", "ftp://127.0.0.1/", "http://"])("to %s fail", async (target) => {
    const failure = await failureOf(open(startRedirecting(() => target)));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("redirect");
  });

  test("without a location fail by their status", async () => {
    const host = startHost(() => new Response(null, { status: 302 }));
    const failure = await failureOf(open(host));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("answered 302");
  });

  test("to a host that refuses don't make that host ask for our password", async () => {
    const storage = startHost(
      () => new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } }),
    );
    const failure = await failureOf(open(startRedirecting(() => `http://${storage.host}/`)));
    expect(failure.kind).toBe("unauthorized");
    expect(failure.message).toContain(`${storage.host} answered 401`);
    expect(storage.authorizations).toEqual([null]);
  });

  test("are asked for anew when what they lead to breaks down", async () => {
    let served = 0;
    const storage = startHost(() =>
      ++served === 1 ? new Response("busy", { status: 503 }) : new Response(bytes),
    );
    let signed = 0;
    const registry = startRedirecting(() => `http://${storage.host}/?signature=${++signed}`);
    expect(await read(registry)).toBe("redirected content");
    expect(storage.requests).toEqual(["GET /?signature=1", "GET /?signature=2"]);
  });

  test("keep their signatures out of messages", async () => {
    const storage = await startRawHost((socket) => socket.destroy());
    const registry = startRedirecting(() => `http://${storage}/?signature=hidden`);
    const { client, events } = newClient({
      username: "me",
      password: "hidden",
      credentialRegistry: registry.host,
      connectTimeout: 400,
    });
    const repository = { registry: registry.host, repository: "a" };
    const failure = await failureOf(client.openBlob(repository, descriptor));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain(storage);
    expect(JSON.stringify([failure.message, events])).not.toContain("hidden");
  });
});
