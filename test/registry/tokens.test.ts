import { describe, expect, test } from "bun:test";
import { blobOf, errorAnswer, failureOf, newClient, startHost, type TestHost } from "./fixtures.ts";

const { descriptor } = blobOf("x");

interface Guard {
  /** The realm of the challenge; the same host's `/token` by default. */
  readonly realm?: (host: string) => string;
  readonly scope?: string;
  readonly token: (request: Request, url: URL) => Response | Promise<Response>;
  /** Whether a request with this token may pass. @default all tokens */
  readonly accepts?: (token: string) => boolean;
}

/** A registry that has every blob, for those with a token. */
function startGuarded({ realm, scope, token, accepts = () => true }: Guard): TestHost {
  return startHost((request, url) => {
    if (url.pathname === "/token") return token(request, url);
    const given = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (given !== undefined && accepts(given)) {
      return new Response(null, { headers: { "content-length": "1" } });
    }
    const where = realm?.(url.host) ?? `http://${url.host}/token`;
    return errorAnswer(401, "UNAUTHORIZED", {
      "www-authenticate": `Bearer realm="${where}",service="s"${scope ? `,scope="${scope}"` : ""}`,
    });
  });
}

function stat({ host }: TestHost, client = newClient().client) {
  return client.statBlob({ registry: host, repository: "a/b" }, descriptor.digest);
}

const tokenQuestions = (host: TestHost) =>
  host.requests.filter((request) => request.includes(" /token"));

describe("tokens", () => {
  test.each([["token"], ["access_token"]])("are taken from the field %s", async (field) => {
    const host = startGuarded({
      token: () => Response.json({ [field]: "t" }),
      accepts: (token) => token === "t",
    });
    expect(await stat(host)).toBe(1);
    expect(tokenQuestions(host)).toEqual(["GET /token?service=s&scope=repository%3Aa%2Fb%3Apull"]);
  });

  test("are asked for with a realm's own query, each scope apart, ours first", async () => {
    const host = startGuarded({
      realm: (name) => `http://${name}/token?account=x`,
      scope: "repository:a/b:pull aws",
      token: () => Response.json({ token: "t" }),
    });
    await stat(host);
    expect(tokenQuestions(host)).toEqual([
      "GET /token?account=x&service=s&scope=repository%3Aa%2Fb%3Apull&scope=aws",
    ]);
  });

  test("are asked for with the right scopes at once when the registry once said so", async () => {
    const host = startGuarded({
      scope: "aws",
      token: (_, url) => Response.json({ token: url.searchParams.getAll("scope").join("+") }),
      accepts: (token) => token.endsWith("aws"),
    });
    const { client } = newClient();
    await stat(host, client);
    await stat(host, client);
    expect(host.requests.length).toBe(4);
  });

  test("are fetched anew before they expire, a minute where nothing is said", async () => {
    let issued = 0;
    const host = startGuarded({
      token: () =>
        Response.json({ token: `t${++issued}`, expires_in: issued === 1 ? 0.001 : undefined }),
    });
    const { client } = newClient();
    await stat(host, client);
    await Bun.sleep(2);
    await stat(host, client);
    await stat(host, client);
    expect(issued).toBe(2);
  });

  test("are fetched anew, once, when the registry doesn't know them any more", async () => {
    let issued = 0;
    const host = startGuarded({
      token: () => Response.json({ token: `t${++issued}`, expires_in: 3600 }),
      accepts: (token) => token === `t${issued}` && !(issued === 1 && revoked),
    });
    let revoked = false;
    const { client } = newClient();
    await stat(host, client);
    revoked = true;
    await Promise.all([stat(host, client), stat(host, client), stat(host, client)]);
    expect(issued).toBe(2);
  });

  test("that are never accepted end in a failure, not in a loop", async () => {
    let issued = 0;
    const host = startGuarded({
      token: () => Response.json({ token: `t${++issued}` }),
      accepts: () => false,
    });
    const failure = await failureOf(stat(host));
    expect(failure.kind).toBe("unauthorized");
    expect(host.requests.length).toBeLessThanOrEqual(6);
  });

  test("are waited for together, and a failure is everybody's", async () => {
    let asked = 0;
    const host = startGuarded({
      token: async () => {
        asked++;
        await Bun.sleep(50);
        return errorAnswer(403, "DENIED");
      },
    });
    const { client } = newClient();
    // Brings the challenge, so that the next ones all begin with the token.
    await failureOf(stat(host, client));
    asked = 0;
    const failures = await Promise.all([1, 2, 3].map(() => failureOf(stat(host, client))));
    expect(failures.map(({ kind }) => kind)).toEqual(Array(3).fill("unauthorized"));
    expect(asked).toBe(1);
  });

  test("go on being fetched for the others when one waiter leaves", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: asked, resolve: note } = Promise.withResolvers<void>();
    const host = startGuarded({
      token: async () => {
        note();
        await gate;
        return Response.json({ token: "t" });
      },
    });
    const { client } = newClient();
    const leaving = new AbortController();
    const reference = { registry: host.host, repository: "a/b", tag: "v" };
    const first = client.resolve(reference, leaving.signal);
    await asked;
    const second = stat(host, client);
    leaving.abort(new Error("I leave"));
    expect(first).rejects.toThrow("I leave");
    await first.catch(() => {});
    open();
    expect(await second).toBe(1);
    expect(tokenQuestions(host).length).toBe(1);
  });

  test.each([
    ["a line break", { token: "a\r\nX-Injected: 1" }],
    ["a space", { token: "a b" }],
    ["another type", { token: 1 }],
    ["nothing in it", {}],
    ["an empty text", { token: "" }],
  ])("with %s aren't used", async (_, body) => {
    const host = startGuarded({ token: () => Response.json(body) });
    const failure = await failureOf(stat(host));
    expect(failure.kind).toBe("content");
    expect(host.requests.length).toBe(2);
  });

  test.each([
    ["HTML", () => new Response("<html>")],
    ["a list", () => Response.json([])],
    ["endless", () => new Response(new Uint8Array(1024 * 1024))],
  ])("in an answer that is %s aren't found", async (_, token) => {
    expect((await failureOf(stat(startGuarded({ token })))).kind).toBe("content");
  });

  test.each([
    ["file:///etc/passwd", "not http or https"],
    ["", "no URL"],
    ["/token", "no URL"],
    ["ftp://127.0.0.1/", "not http or https"],
  ])("aren't sought at %p", async (realm, reason) => {
    const host = startGuarded({ realm: () => realm, token: () => Response.json({ token: "t" }) });
    const failure = await failureOf(stat(host));
    expect(failure.message).toContain(reason);
  });

  test("aren't bought with a password sent in clear to another machine", async () => {
    const host = startGuarded({
      realm: () => "http://token.example/token",
      token: () => Response.json({ token: "t" }),
    });
    const options = { username: "me", password: "hidden", credentialRegistry: host.host };
    const failure = await failureOf(stat(host, newClient(options).client));
    expect(failure.kind).toBe("unauthorized");
    expect(failure.message).toContain("--plain-http token.example");
    expect(failure.message).not.toContain("hidden");
  });

  test("aren't bought with a password where the token server redirects elsewhere", async () => {
    const elsewhere = startHost(() => Response.json({ token: "t" }));
    const host = startGuarded({
      token: () => Response.redirect(`http://${elsewhere.host}/token`, 307),
    });
    const options = { username: "me", password: "hidden", credentialRegistry: host.host };
    await stat(host, newClient(options).client);
    expect(elsewhere.authorizations).toEqual([null]);
  });

  test("aren't bought with an identity token that a redirect would carry elsewhere", async () => {
    const elsewhere = startHost(() => Response.json({ token: "t" }));
    const host = startGuarded({
      token: () => Response.redirect(`http://${elsewhere.host}/token`, 307),
    });
    const auths = { [host.host]: { identitytoken: "hidden" } };
    const env = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) };
    const failure = await failureOf(stat(host, newClient({ env }).client));
    expect(failure.kind).toBe("content");
    expect(elsewhere.requests).toEqual([]);
  });

  test("are used where the registry offers Basic first", async () => {
    const host = startHost((request, url) => {
      if (url.pathname === "/token") return Response.json({ token: "t" });
      if (request.headers.get("authorization") === "Bearer t") {
        return new Response(null, { headers: { "content-length": "1" } });
      }
      const bearer = `Bearer realm="http://${url.host}/token"`;
      return new Response(null, {
        status: 401,
        headers: [
          ["www-authenticate", 'Basic realm="r"'],
          ["www-authenticate", bearer],
        ],
      });
    });
    expect(await stat(host)).toBe(1);
  });
});

describe("a 401 without a challenge that is understood", () => {
  test.each([[null], ["Negotiate"], ["Bearer service=s"], ["%%%"]])(
    "(%p) is final",
    async (header) => {
      const host = startHost(() =>
        errorAnswer(401, "UNAUTHORIZED", (header && { "www-authenticate": header }) || {}),
      );
      const failure = await failureOf(stat(host));
      expect(failure.kind).toBe("unauthorized");
      expect(host.requests.length).toBe(1);
    },
  );
});
