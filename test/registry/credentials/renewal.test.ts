/** What happens at a registry when a credential or a token ends in the middle of the work. */
import { describe, expect, test } from "bun:test";
import {
  blobOf,
  errorAnswer,
  failureOf,
  newClient,
  startHost,
  type TestHost,
} from "../fixtures.ts";
import { answering, makeHelpers, type TestHelpers } from "./helpers.ts";

const { bytes, descriptor } = blobOf("content");

/** What the registry takes now, and how it says no to anything else. */
interface Lock {
  password: string;
  refusal: (host: string) => Response;
}

const basicChallenge = () =>
  errorAnswer(401, "UNAUTHORIZED", { "www-authenticate": 'Basic realm="r"' });

function startLocked(lock: Lock): TestHost {
  return startHost((request, url) => {
    const authorization = request.headers.get("authorization");
    if (url.pathname === "/token") {
      return authorization === `Basic ${btoa(`u:${lock.password}`)}`
        ? Response.json({ token: lock.password, expires_in: 3600 })
        : errorAnswer(401, "UNAUTHORIZED");
    }
    if (authorization === null) {
      const isBearer = lock.refusal(url.host).headers.get("www-authenticate")?.startsWith("Bearer");
      return isBearer ? lock.refusal(url.host) : basicChallenge();
    }
    const accepted = [`Basic ${btoa(`u:${lock.password}`)}`, `Bearer ${lock.password}`];
    return accepted.includes(authorization) ? new Response(bytes) : lock.refusal(url.host);
  });
}

function clientOf(host: TestHost): { helpers: TestHelpers; read: () => Promise<string> } {
  const helpers = makeHelpers({ credHelpers: { [host.host]: "mine" } });
  const { client } = newClient({ env: helpers.env });
  return {
    helpers,
    read: async () => {
      const repository = { registry: host.host, repository: "a/b" };
      return new Response(await client.openBlob(repository, descriptor)).text();
    },
  };
}

describe("a credential that ends in the middle of a pull", () => {
  test.each([
    ["401 from the registry", basicChallenge],
    ["403 from the registry, as ECR says it", () => errorAnswer(403, "DENIED")],
    [
      "401 from the token server",
      (host: string) =>
        errorAnswer(401, "UNAUTHORIZED", {
          "www-authenticate": `Bearer realm="http://${host}/token",service="s"`,
        }),
    ],
  ])("(%s) is asked for again at its helper, once for all", async (_, refusal) => {
    const lock = { password: "first", refusal };
    const { helpers, read } = clientOf(startLocked(lock));
    helpers.write("mine", answering("u", "first"));
    expect(await read()).toBe("content");
    lock.password = "second";
    helpers.write("mine", answering("u", "second"));
    expect(await Promise.all([read(), read()])).toEqual(["content", "content"]);
    expect(helpers.asked().length).toBe(2);
  });

  test("that was never accepted isn't asked for again", async () => {
    const host = startLocked({ password: "right", refusal: basicChallenge });
    const { helpers, read } = clientOf(host);
    helpers.write("mine", answering("u", "wrong"));
    for (let count = 0; count < 3; count++) {
      expect((await failureOf(read())).message).toContain("docker-credential-mine");
    }
    expect(helpers.asked().length).toBe(1);
    // One without credentials, and one with them for each read.
    expect(host.requests.length).toBe(4);
  });

  test("ends the pull when there is no other one", async () => {
    const lock = { password: "first", refusal: basicChallenge };
    const { helpers, read } = clientOf(startLocked(lock));
    helpers.write("mine", answering("u", "first"));
    await read();
    lock.password = "second";
    expect((await failureOf(read())).kind).toBe("unauthorized");
    expect((await failureOf(read())).kind).toBe("unauthorized");
    expect(helpers.asked().length).toBe(2);
  });
});
