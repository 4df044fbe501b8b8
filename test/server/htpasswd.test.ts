import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startTestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

async function startProtected() {
  const htpasswd = join(temporaryDirectory(), "htpasswd");
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 8 });
  await writeFile(htpasswd, `alice:${hash}\n`);
  return startTestRegistry({ htpasswd });
}

test("a client that opens very many connections at once is checked once", async () => {
  const registry = await startProtected();
  const statuses = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const response = await fetch(`${registry.url}/v2/`, { headers: basic("alice", "secret") });
      await response.body?.cancel();
      return response.status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  await registry.stop();
});

test("a flood of guesses is told to come again, and those who were checked aren't disturbed", async () => {
  const registry = await startProtected();
  const status = async (user: string, password: string) => {
    const response = await fetch(`${registry.url}/v2/`, { headers: basic(user, password) });
    if (response.status === 429) {
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await response.json()).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
    }
    return response.status;
  };
  expect(await status("alice", "secret")).toBe(200);
  const flood = Promise.all(Array.from({ length: 200 }, (_, i) => status("alice", `guess ${i}`)));
  expect(await status("alice", "secret")).toBe(200);
  const answers = await flood;
  expect(new Set(answers)).toEqual(new Set([401, 429]));
  expect(await status("alice", "secret")).toBe(200);
  expect(await status("bob", "secret")).toBe(401);
  await registry.stop();
});

test("a user who doesn't exist isn't let in by another's password, nor where nobody exists", async () => {
  const registry = await startProtected();
  const get = (user: string, password: string) =>
    fetch(`${registry.url}/v2/`, { headers: basic(user, password) });
  expect((await get("mallory", "secret")).status).toBe(401);
  expect((await get("", "secret")).status).toBe(401);
  await registry.stop();

  const htpasswd = join(temporaryDirectory(), "empty");
  await writeFile(htpasswd, "# nobody\n");
  const empty = await startTestRegistry({ htpasswd });
  for (const [user, password] of [
    ["", ""],
    ["alice", ""],
    ["alice", "secret"],
  ] as const) {
    const response = await fetch(`${empty.url}/v2/`, { headers: basic(user, password) });
    expect(response.status).toBe(401);
  }
  await empty.stop();
});
