/** Redirects and tokens: content that comes from elsewhere, for a while. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestRegistry } from "../support/registry.ts";
import type { Fault } from "./behaviour.ts";
import { type FaultProxy, startFaultProxy } from "./proxy.ts";
import {
  expectFailed,
  expectPulled,
  MODEL,
  onShards,
  pullThrough,
  type ServedModel,
  startModelRegistry,
} from "./scenario.ts";

let registry: TestRegistry;
let model: ServedModel;
beforeAll(async () => {
  ({ registry, model } = await startModelRegistry());
});
afterAll(() => registry.stop());

const repository = MODEL.replace(/:.*/, "");

/** Storage that takes each signature for a number of requests, and then refuses it as S3 does. */
function startSignedStorage(uses: number): Promise<FaultProxy> {
  const used = new Map<string, number>();
  return startFaultProxy(model.host, ({ path }) => {
    const { pathname, searchParams } = new URL(path, "http://storage");
    const signature = searchParams.get("X-Signature") ?? "";
    const count = (used.get(signature) ?? 0) + 1;
    used.set(signature, count);
    return count > uses
      ? { answer: { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" } }
      : { path: pathname };
  });
}

function redirecting(target: () => string): Fault {
  return onShards(model, (_, { path }) => ({
    answer: { status: 307, headers: { location: `${target()}${path}` } },
  }));
}

describe("redirects to presigned URLs", () => {
  test("that expire are asked for anew", async () => {
    await using storage = await startSignedStorage(2);
    const fault = onShards(model, (signature, { digest }) => {
      const location = `http://${storage.host}/v2/${repository}/blobs/${digest}?X-Signature=${signature}`;
      return { answer: { status: 307, headers: { location } } };
    });
    await using outcome = await pullThrough(model, fault);
    await expectPulled(outcome, model);
    for (const { headers } of storage.log) expect(headers.has("authorization")).toBe(false);
    // Signatures are as good as passwords.
    expect(JSON.stringify(outcome.events)).not.toContain("X-Signature");
  });

  test("that are never taken end the pull as not authorised, without their signature", async () => {
    await using storage = await startSignedStorage(0);
    await using outcome = await pullThrough(
      model,
      onShards(model, (_, { path }) => ({
        answer: {
          status: 307,
          headers: { location: `http://${storage.host}${path}?X-Signature=secret` },
        },
      })),
      { stallTimeout: 20_000 },
    );
    const { message } = expectFailed(outcome, "unauthorized");
    expect(message).toContain("403");
    expect(message).not.toContain("secret");
  });

  test("whose storage breaks down in the middle lead elsewhere", async () => {
    await using storage = await startSignedStorage(1000);
    storage.fault = ({ path, number }) => ({
      path: new URL(path, "http://storage").pathname,
      ...(number % 2 === 1 && { cutAfter: 1_000_000 }),
    });
    await using outcome = await pullThrough(
      model,
      redirecting(() => `http://${storage.host}`),
    );
    await expectPulled(outcome, model);
  });
});

describe("redirects that aren't followed", () => {
  test.each(["file:///etc/passwd?", "ftp://127.0.0.1", "gopher://127.0.0.1:70", "javascript:1/"])(
    "to %s",
    async (target) => {
      await using outcome = await pullThrough(
        model,
        redirecting(() => target),
      );
      expectFailed(outcome, "content");
    },
  );

  test("in circles", async () => {
    await using outcome = await pullThrough(
      model,
      redirecting(() => ""),
    );
    const { message } = expectFailed(outcome, "content");
    expect(message).toContain("redirects more than");
  });

  test("of the manifest to another kind of place", async () => {
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest"
        ? { answer: { status: 302, headers: { location: "file:///etc/hosts" } } }
        : undefined,
    );
    expectFailed(outcome, "content");
  });
});

describe("a token", () => {
  /** A registry behind tokens, each good for `uses` requests, or given by `token`. */
  function guarded(uses: number, token = (count: number) => `token-${count}`): Fault {
    let given = 0;
    let left = 0;
    return ({ path, headers }) => {
      if (path.startsWith("/token")) {
        left = uses;
        const body = JSON.stringify({ token: token(++given), expires_in: 300 });
        return { answer: { status: 200, headers: { "content-type": "application/json" }, body } };
      }
      if (left > 0 && headers.get("authorization") === `Bearer ${token(given)}`) {
        left--;
        return undefined;
      }
      const challenge = `Bearer realm="http://${headers.get("host")}/token",service="here",scope="repository:${repository}:pull"`;
      return { answer: { status: 401, headers: { "www-authenticate": challenge } } };
    };
  }

  test("that stops being taken in the middle of a pull is renewed", async () => {
    await using outcome = await pullThrough(model, guarded(3));
    await expectPulled(outcome, model);
    expect(
      outcome.proxy.log.filter(({ path }) => path.startsWith("/token")).length,
    ).toBeGreaterThan(1);
  });

  test("that is never taken ends the pull at once", async () => {
    await using outcome = await pullThrough(model, guarded(0));
    expectFailed(outcome, "unauthorized");
    expect(outcome.proxy.log.length).toBeLessThan(10);
  });

  test.each([
    ["a line break", "a\r\nX-Injected: yes"],
    ["a newline at its end", "abc\n"],
    ["nothing", ""],
    ["characters beyond ASCII", "t\u00f6ken"],
    ["a zero", "a\u0000b"],
  ])("with %s isn't used", async (_, value) => {
    await using outcome = await pullThrough(
      model,
      guarded(3, () => value),
    );
    expectFailed(outcome, "content");
    for (const { headers } of outcome.proxy.log) {
      expect(headers.has("x-injected")).toBe(false);
      expect(headers.has("authorization")).toBe(false);
    }
  });
});
