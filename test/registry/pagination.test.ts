import { describe, expect, test } from "bun:test";
import { parseNextLink } from "../../src/registry/pagination.ts";
import { failureOf, newClient, startHost } from "./fixtures.ts";

describe("parseNextLink", () => {
  test.each([
    ['</v2/a/tags/list?n=1&last=b>; rel="next"', "/v2/a/tags/list?n=1&last=b"],
    ["</next>; rel=next", "/next"],
    ['</a>; rel="prev", </b>; rel="next"', "/b"],
    ['</a,b;c>; title="x, y"; REL="first next"', "/a,b;c"],
    ['</a>; rel="nextish"', undefined],
    ["</a>", undefined],
    ["/a; rel=next", undefined],
    ["", undefined],
    [null, undefined],
  ])("finds in %p the target %p", (header, target) => {
    expect(parseNextLink(header)).toBe(target);
  });
});

function tagsOf(host: string): Promise<string[]> {
  const tags = newClient().client.listTags({ registry: host, repository: "a" });
  return Array.fromAsync(tags);
}

function page(tags: unknown, link?: string): Response {
  return Response.json({ name: "a", tags }, link ? { headers: { link } } : {});
}

describe("lists in pages", () => {
  test("are followed along relative and absolute links on the same host", async () => {
    const { host, requests } = startHost((_, url) => {
      const last = url.searchParams.get("last");
      if (last === null) return page(["a"], '</v2/a/tags/list?last=a>; rel="next"');
      if (last === "a")
        return page(["b"], `<http://${url.host}/v2/a/tags/list?last=b>; rel="next"`);
      return page(["c"]);
    });
    expect(await tagsOf(host)).toEqual(["a", "b", "c"]);
    expect(requests[0]).toBe("GET /v2/a/tags/list?n=1000");
  });

  test("take null for an empty list", async () => {
    const { host } = startHost(() => page(null));
    expect(await tagsOf(host)).toEqual([]);
  });

  test.each([
    ["the same page", "?n=1000", "circle"],
    ["another host", "http://10.0.0.1/v2/a/tags/list", "another host"],
    ["another scheme", "ftp://x/", "another host"],
  ])("that link to %s end in a failure", async (_, link, reason) => {
    const { host } = startHost(() => page(["a"], `<${link}>; rel="next"`));
    const failure = await failureOf(tagsOf(host));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain(reason);
  });

  test("that go in a longer circle end in a failure", async () => {
    let count = 0;
    const { host } = startHost(() => page(["a"], `<?last=${count++ % 3}>; rel="next"`));
    expect((await failureOf(tagsOf(host))).message).toContain("circle");
  });

  test("that never fill a page end in a failure", async () => {
    let count = 0;
    const { host, requests } = startHost(() => page([], `<?last=${count++}>; rel="next"`));
    expect((await failureOf(tagsOf(host))).message).toContain("empty pages");
    expect(requests.length).toBe(100);
  });

  test.each([["..%2f"], ["a\u001b[31m"], [""], ["a/b"]])(
    "with the tag %p, which is none, end in a failure",
    async (tag) => {
      const { host } = startHost(() => page([tag]));
      expect((await failureOf(tagsOf(host))).kind).toBe("content");
    },
  );

  test.each([["[]"], ["null"], ["<html>"], ['{"tags": "a"}'], ["{}"]])(
    "that are %s end in a failure",
    async (body) => {
      const { host } = startHost(() => new Response(body));
      expect((await failureOf(tagsOf(host))).kind).toBe("content");
    },
  );

  test("are read no further than the bound of a page", async () => {
    const chunk = new Uint8Array(1024 * 1024).fill(0x20);
    let sent = 0;
    const { host } = startHost(
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              sent += chunk.byteLength;
              controller.enqueue(chunk);
            },
          }),
        ),
    );
    expect((await failureOf(tagsOf(host))).message).toContain("more than");
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });
});
