/** Other people's programs between the model and us: distribution with users or tokens, nginx. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type GuardedRegistry,
  startGuardedDistribution,
  startTokenServer,
} from "../registry/token-server.ts";
import { type Nginx, startNginx } from "../support/nginx.ts";
import type { TestRegistry } from "../support/registry.ts";
import { makeProtection } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { runOcireg } from "./compiled.ts";
import {
  digestsBelow,
  expectPulled,
  expectSound,
  MEBIBYTE,
  MODEL,
  newClient,
  onShards,
  pullThrough,
  pushModel,
  type ServedModel,
  startModelRegistry,
} from "./scenario.ts";

const user = { username: "alice", password: "correct horse battery staple" };

describeWith("registry", "distribution behind", () => {
  async function withRegistry(
    registry: GuardedRegistry,
    body: (model: ServedModel) => Promise<void>,
  ): Promise<void> {
    try {
      const client = newClient({ ...user, credentialRegistry: registry.host });
      await body(await pushModel(registry.host, client));
    } finally {
      await registry.stop();
    }
  }

  test("htpasswd: connections that break are made again with the password", async () => {
    const hash = await Bun.password.hash(user.password, { algorithm: "bcrypt", cost: 4 });
    const htpasswd = `${user.username}:${hash.replace("$2b$", "$2y$")}\n`;
    await withRegistry(await startGuardedDistribution({ htpasswd }), async (model) => {
      const fault = onShards(model, (number) =>
        number % 2 ? { cutAfter: 3 * MEBIBYTE } : undefined,
      );
      await using outcome = await pullThrough(model, fault, user);
      await expectPulled(outcome, model);
    });
  });

  test.each([
    ["that say so", { lifetime: 2, validity: 3 }],
    ["that don't say so", { validity: 2 }],
  ])("tokens that live for two seconds, %s: they are renewed on the way", async (_, lives) => {
    const tokens = startTokenServer({ ...user, ...lives });
    await withRegistry(await startGuardedDistribution(tokens), async (model) => {
      tokens.requests.length = 0;
      const fault = onShards(model, (number) => ({
        rate: MEBIBYTE,
        ...(number <= 2 && { cutAfter: 3 * MEBIBYTE }),
      }));
      await using outcome = await pullThrough(model, fault, user);
      await expectPulled(outcome, model);
      expect(tokens.requests.length).toBeGreaterThan(1);
    });
  });
});

describeWith(["nginx", "openssl"], "nginx before the registry", () => {
  let registry: TestRegistry;
  let model: ServedModel;
  let nginx: Nginx;
  let ca: string;
  beforeAll(async () => {
    ({ registry, model } = await startModelRegistry());
    const protection = await makeProtection();
    ca = protection.ca;
    const key = protection.flags[protection.flags.indexOf("--tls-key") + 1] ?? "";
    nginx = await startNginx({
      certificate: ca,
      key,
      locations: {
        "/": `proxy_pass http://${registry.host};`,
        "/v2/slow/": `proxy_pass http://${registry.host}/v2/models/; limit_rate 8m;`,
        "/v2/stored/small/manifests/": `proxy_pass http://${registry.host}/v2/models/small/manifests/;`,
        "/v2/stored/small/blobs/": "return 307 /storage$request_uri;",
        "/storage/v2/stored/": `proxy_pass http://${registry.host}/v2/models/;`,
        "/v2/buffered/": `proxy_pass http://${registry.host}/v2/models/; gzip on; gzip_types *; proxy_force_ranges on;`,
        "/v2/unranged/": `proxy_pass http://${registry.host}/v2/models/; max_ranges 0; proxy_set_header Range "";`,
      },
    });
  });
  afterAll(async () => {
    await nginx?.stop();
    await registry?.stop();
  });

  test.each([
    ["TLS", "models"],
    ["TLS and limit_rate", "slow"],
    ["TLS and redirects", "stored"],
    ["gzip", "buffered"],
    ["no ranges", "unranged"],
  ])("with %s: the executable pulls every byte", async (_, namespace) => {
    const cache = temporaryDirectory();
    const reference = `${nginx.host}/${MODEL.replace("models", namespace)}`;
    const { code, stdout, stderr } = await runOcireg(
      ["pull", "--ca", ca, "--cache-dir", cache, reference],
      {},
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await digestsBelow(stdout.trimEnd())).toEqual(model.files);
    await expectSound(cache, model);
  });

  test("with a certificate that nobody vouches for: it ends at once", async () => {
    const started = nginx.requests();
    const { code, stderr } = await runOcireg([
      ...["pull", "--plain-http=false", "--insecure-skip-tls-verify=other.example"],
      ...["--ca", await otherAuthority(), `${nginx.host}/${MODEL}`],
    ]);
    expect(code).toBe(5);
    expect(stderr).toContain("certificate");
    expect(nginx.requests()).toBe(started);
  });
});

async function otherAuthority(): Promise<string> {
  return (await makeProtection()).ca;
}
