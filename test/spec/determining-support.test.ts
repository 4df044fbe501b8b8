import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

test("Determining Support: a GET of /v2/ is 200", async () => {
  const response = await fetch(`${registry.url}/v2/`);
  expect(response.status).toBe(200);
  await response.arrayBuffer();
});

test("Determining Support: a HEAD of /v2/ is 200 without a body", async () => {
  const response = await fetch(`${registry.url}/v2/`, { method: "HEAD" });
  expect(response.status).toBe(200);
  expect(await response.text()).toBe("");
});

test("Determining Support: /v2 without the slash is answered as /v2/ or by a redirect to it", async () => {
  const response = await fetch(`${registry.url}/v2`);
  expect(response.status).toBe(200);
});

test("Determining Support: a query does no harm", async () => {
  expect((await fetch(`${registry.url}/v2/?ns=docker.io`)).status).toBe(200);
});

test.each(["POST", "PUT", "PATCH", "DELETE"])(
  "Determining Support: a %s of /v2/ is 405 and says what is allowed",
  async (method) => {
    const response = await fetch(`${registry.url}/v2/`, { method });
    expect(response.headers.get("allow")).toContain("GET");
    await expectError(response, 405, "UNSUPPORTED");
  },
);
