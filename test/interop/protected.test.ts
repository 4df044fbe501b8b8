/** Clients with a password, over TLS with a certificate that only they trust. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Layout, makeLayout } from "../support/oci-layout.ts";
import { makeProtection, type Protection, type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith, testWith } from "../support/tools.ts";
import { clientProgram } from "./client.ts";

describeWith("openssl", "a registry with passwords and TLS", () => {
  let registry: Serving;
  let layout: Layout;
  let protection: Protection;

  beforeAll(async () => {
    protection = await makeProtection();
    registry = await startServing(temporaryDirectory(), ...protection.flags);
    layout = await makeLayout(temporaryDirectory());
  });

  afterAll(() => registry?.stop());

  test("lets nobody in without the password", async () => {
    const tls = { ca: await Bun.file(protection.ca).text() };
    const response = await fetch(`${registry.url}/v2/`, { tls });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toStartWith("Basic ");
    const wrong = { authorization: `Basic ${btoa(`${protection.username}:wrong`)}` };
    expect((await fetch(`${registry.url}/v2/`, { tls, headers: wrong })).status).toBe(401);
  });

  testWith("skopeo", "lets skopeo push and pull", async () => {
    const skopeo = clientProgram("skopeo");
    const name = `docker://${registry.host}/team/skopeo:v1`;
    const certificates = join(skopeo.home, "certs");
    await mkdir(certificates);
    await copyFile(protection.ca, join(certificates, "ca.crt"));
    const credentials = `${protection.username}:${protection.password}`;
    await skopeo(
      ...["--insecure-policy", "copy", "--dest-cert-dir", certificates],
      ...["--dest-creds", credentials, `oci:${layout.directory}:image`, name],
    );
    const seen = await skopeo("inspect", "--cert-dir", certificates, "--creds", credentials, name);
    expect(JSON.parse(seen).Digest).toBe(layout.image.digest);
    await expect(
      skopeo("inspect", "--cert-dir", certificates, "--creds", "alice:wrong", name),
    ).rejects.toThrow(/unauthorized|authentication required/i);
  });

  testWith("crane", "lets crane log in, push and pull", async () => {
    const crane = clientProgram("crane", [], { SSL_CERT_FILE: protection.ca });
    const { username, password } = protection;
    await crane("auth", "login", registry.host, "-u", username, "-p", password);
    const name = `${registry.host}/team/crane:v1`;
    await crane("push", "--index", layout.directory, name);
    expect(await crane("validate", "--remote", name)).toStartWith("PASS");
  });

  testWith("regctl", "lets regctl log in, push and pull", async () => {
    const regctl = clientProgram("regctl");
    const { username, password, ca } = protection;
    await regctl(
      "registry",
      "set",
      "--skip-check",
      "--cacert",
      await Bun.file(ca).text(),
      registry.host,
    );
    await regctl("registry", "login", "-u", username, "-p", password, registry.host);
    const name = `${registry.host}/team/regctl:v1`;
    await regctl("image", "copy", `ocidir://${layout.directory}:index`, name);
    expect(await regctl("image", "digest", name)).toBe(layout.index.digest);
  });
});
