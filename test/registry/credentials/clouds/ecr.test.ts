/** Against hosts of our own that speak as STS, ECR and the metadata services of AWS do. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { signedHeaders } from "../../../../src/registry/credentials/clouds/signature.ts";
import type { FoundCredential } from "../../../../src/registry/credentials/credentials.ts";
import { temporaryDirectory } from "../../../support/temp.ts";
import { newCredentials, startHost, type TestHost } from "../../fixtures.ts";

const registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const lent = { AccessKeyId: "ASIALENT", SecretAccessKey: "lent/secret", Token: "lent/session==" };
const keysById: Record<string, { secretAccessKey: string; sessionToken?: string }> = {
  AKIAOWN: { secretAccessKey: "own/secret" },
  ASIALENT: { secretAccessKey: lent.SecretAccessKey, sessionToken: lent.Token },
};

/** ECR's GetAuthorizationToken, which checks the signature. */
async function sellPassword(request: Request, url: URL, expiresAt: number): Promise<Response> {
  const authorization = request.headers.get("authorization") ?? "";
  const [, accessKeyId = "", region = "", service = ""] =
    /Credential=([^/]+)\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/.exec(authorization) ?? [];
  const keys = keysById[accessKeyId];
  const time = request.headers.get("x-amz-date") ?? "";
  const date = new Date(
    time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
  );
  const expected =
    keys &&
    signedHeaders(
      {
        method: request.method,
        url: new URL(url.pathname, url),
        headers: {
          "content-type": request.headers.get("content-type") ?? "",
          "x-amz-target": request.headers.get("x-amz-target") ?? "",
        },
        body: await request.bytes(),
      },
      { accessKeyId, ...keys },
      { region, service, date },
    );
  if (!expected || expected["authorization"] !== authorization) {
    const message = `The security token ${keys?.sessionToken} included in the request is invalid.`;
    return Response.json(
      { __type: "com.amazon.coral.service#UnrecognizedClientException", message },
      { status: 400 },
    );
  }
  const target = request.headers.get("x-amz-target")?.split(".")[0];
  const text = `AWS:${accessKeyId}@${region}/${service}/${target}`;
  const data = { authorizationToken: btoa(text), expiresAt };
  return Response.json(
    { authorizationData: service === "ecr-public" ? data : [data] },
    { headers: { "content-type": "application/x-amz-json-1.1" } },
  );
}

function startEcr(expiresAt = Date.now() / 1000 + 12 * 3600): TestHost {
  return startHost((request, url) => sellPassword(request, url, expiresAt));
}

function find(env: Record<string, string>, name = registry): Promise<FoundCredential> {
  const quiet = { HOME: temporaryDirectory(), AWS_EC2_METADATA_DISABLED: "true" };
  return newCredentials({ env: { ...quiet, ...env } }).find({ registry: name, scopes: [] });
}

const own = { AWS_ACCESS_KEY_ID: "AKIAOWN", AWS_SECRET_ACCESS_KEY: "own/secret" };
const service = "AmazonEC2ContainerRegistry_V20150921";

function password(text: string) {
  return { kind: "basic", username: "AWS", password: text };
}

describe("a password for ECR", () => {
  test("is bought with the keys of variables, in the registry's region", async () => {
    const ecr = startEcr();
    const { credential, source } = await find({
      ...own,
      AWS_REGION: "us-east-1",
      AWS_ENDPOINT_URL_ECR: `http://${ecr.host}`,
    });
    expect(credential).toEqual(password(`AKIAOWN@eu-central-1/ecr/${service}`) as never);
    expect(source).toBe("AWS_ACCESS_KEY_ID");
    expect(ecr.requests).toEqual(["POST /"]);
  });

  test("is bought with keys that were lent, and their session", async () => {
    const ecr = startEcr();
    const { credential } = await find({
      AWS_ACCESS_KEY_ID: lent.AccessKeyId,
      AWS_SECRET_ACCESS_KEY: lent.SecretAccessKey,
      AWS_SESSION_TOKEN: lent.Token,
      AWS_ENDPOINT_URL: `http://${ecr.host}`,
    });
    expect(credential).toEqual(password(`ASIALENT@eu-central-1/ecr/${service}`) as never);
  });

  test("is bought as the role of a Kubernetes service account", async () => {
    const forms: URLSearchParams[] = [];
    const sts = startHost(async (request) => {
      forms.push(new URLSearchParams(await request.text()));
      return new Response(
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <Credentials>
      <SessionToken>${lent.Token}</SessionToken>
      <SecretAccessKey>${lent.SecretAccessKey}</SecretAccessKey>
      <Expiration>2030-01-01T00:00:00Z</Expiration>
      <AccessKeyId>${lent.AccessKeyId}</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`,
        { headers: { "content-type": "text/xml" } },
      );
    });
    const file = join(temporaryDirectory(), "token");
    await Bun.write(file, "a.web.identity\n");
    const { credential, source } = await find({
      AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/puller",
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ENDPOINT_URL_STS: `http://${sts.host}`,
      AWS_ENDPOINT_URL_ECR: `http://${startEcr().host}`,
    });
    expect(credential).toEqual(password(`ASIALENT@eu-central-1/ecr/${service}`) as never);
    expect(source).toBe("AWS_WEB_IDENTITY_TOKEN_FILE");
    expect(forms.map((fields) => Object.fromEntries(fields))).toEqual([
      {
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: "arn:aws:iam::123456789012:role/puller",
        RoleSessionName: "ocireg",
        WebIdentityToken: "a.web.identity",
      },
    ]);
  });

  test("is bought as an EKS pod or an ECS task", async () => {
    const agent = startHost((request) =>
      request.headers.get("authorization") === "pod token"
        ? Response.json({ ...lent, Expiration: "2030-01-01T00:00:00Z" })
        : Response.json({ message: "no" }, { status: 401 }),
    );
    const file = join(temporaryDirectory(), "token");
    await Bun.write(file, "pod token");
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${agent.host}/v1/credentials`,
      AWS_ENDPOINT_URL_ECR: `http://${startEcr().host}`,
    };
    const variables = [
      { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file },
      { AWS_CONTAINER_AUTHORIZATION_TOKEN: "pod token" },
    ];
    for (const variable of variables) {
      const { credential } = await find({ ...env, ...variable });
      expect(credential).toEqual(password(`ASIALENT@eu-central-1/ecr/${service}`) as never);
    }
    expect(agent.requests).toEqual(Array(2).fill("GET /v1/credentials"));
  });

  test("is bought as the role of an EC2 instance", async () => {
    const metadata = startHost((request, url) => {
      if (request.method === "PUT" && url.pathname === "/latest/api/token") {
        return new Response("session");
      }
      if (request.headers.get("x-aws-ec2-metadata-token") !== "session") {
        return new Response(null, { status: 401 });
      }
      const role = "/latest/meta-data/iam/security-credentials/";
      if (url.pathname === role) return new Response("node role");
      if (url.pathname !== `${role}node%20role`) return new Response(null, { status: 404 });
      return Response.json({ Code: "Success", ...lent });
    });
    const { credential, source } = await find({
      AWS_EC2_METADATA_DISABLED: "",
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${metadata.host}`,
      AWS_ENDPOINT_URL_ECR: `http://${startEcr().host}`,
    });
    expect(credential).toEqual(password(`ASIALENT@eu-central-1/ecr/${service}`) as never);
    expect(source).toBe("the role of this EC2 instance");
  });

  test("isn't sought at a machine that isn't an instance", async () => {
    const metadata = startHost(() => new Response(null, { status: 404 }));
    const { asked } = await find({
      AWS_EC2_METADATA_DISABLED: "",
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${metadata.host}`,
    });
    expect(asked.at(-1)?.reason).toBe(`no instance metadata at ${metadata.host}`);
    expect(asked.some(({ failed }) => failed)).toBeFalse();
  });

  test("is bought for the public registry of its own service", async () => {
    const { credential } = await find(
      { ...own, AWS_ENDPOINT_URL_ECR_PUBLIC: `http://${startEcr().host}` },
      "public.ecr.aws",
    );
    expect(credential).toEqual(
      password("AKIAOWN@us-east-1/ecr-public/SpencerFrontendService") as never,
    );
  });

  test("is bought again before it expires, once for all", async () => {
    const ecr = startEcr();
    const env = { ...own, HOME: temporaryDirectory(), AWS_ENDPOINT_URL_ECR: `http://${ecr.host}` };
    const credentials = newCredentials({ env });
    const find = (repository: string) => credentials.find({ registry, repository, scopes: [] });
    await Promise.all([find("a"), find("a"), find("b")]);
    expect(ecr.requests.length).toBe(1);
    const { credential } = await find("a");
    if (!credential) throw new Error("no credential");
    credentials.accept(credential);
    await credentials.find({ registry, repository: "a", scopes: [] }, credential);
    expect(ecr.requests.length).toBe(2);
  });

  test("that AWS refuses is a failure with its words, and without secrets", async () => {
    const { credential, asked } = await find({
      AWS_ACCESS_KEY_ID: "ASIALENT",
      AWS_SECRET_ACCESS_KEY: "wrong/secret",
      AWS_SESSION_TOKEN: lent.Token,
      AWS_ENDPOINT_URL_ECR: `http://${startEcr().host}`,
    });
    expect(credential).toBeUndefined();
    const { reason = "", failed } = asked.find(({ failed }) => failed) ?? {};
    expect(failed).toBeTrue();
    expect(reason).toContain(`can't get credentials for ${registry}: Amazon ECR: 127.0.0.1`);
    expect(reason).toContain("answered 400 UnrecognizedClientException");
    expect(reason).not.toMatch(/secret|session/);
  });

  test("isn't asked for with a token in clear over the network", async () => {
    const { asked } = await find({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://elsewhere.example/credentials",
      AWS_CONTAINER_AUTHORIZATION_TOKEN: "hidden",
    });
    const { reason = "" } = asked.find(({ failed }) => failed) ?? {};
    expect(reason).toContain('plain HTTP to "elsewhere.example"');
  });

  test.each([
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
    "evil.example",
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com:8443",
    "x.dkr.ecr.evil/.amazonaws.com",
    "ecr.eu-central-1.amazonaws.com",
  ])("isn't offered to %s", async (name) => {
    const ecr = startEcr();
    const { credential } = await find({ ...own, AWS_ENDPOINT_URL_ECR: `http://${ecr.host}` }, name);
    expect(credential).toBeUndefined();
    expect(ecr.requests).toEqual([]);
  });

  test("isn't asked for where another source has one", async () => {
    const ecr = startEcr();
    const auths = { [registry]: { auth: btoa("file:p") } };
    const { credential } = await find({
      ...own,
      AWS_ENDPOINT_URL_ECR: `http://${ecr.host}`,
      DOCKER_AUTH_CONFIG: JSON.stringify({ auths }),
    });
    expect(credential).toMatchObject({ username: "file" });
    expect(ecr.requests).toEqual([]);
  });
});
