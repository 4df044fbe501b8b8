/** Amazon's registries: who may call AWS may buy a password, which lives for twelve hours. */
import { Type } from "@sinclair/typebox";
import { Failure } from "../../../lib/failure.ts";
import type { Expiring } from "../../../lib/renewing.ts";
import type { Credential } from "../credential.ts";
import { awsEndpoint, configuredKeys, instanceKeys, type KeySource } from "./aws-keys.ts";
import { askJson } from "./endpoint.ts";
import { type CloudContext, type CloudIdentity, lifetimeUntil } from "./identity.ts";
import { type AwsKeys, signedHeaders } from "./signature.ts";

/** The service that sells passwords for a registry. */
interface Ecr {
  readonly service: "ecr" | "ecr-public";
  /** What stands before the name of the action. */
  readonly api: string;
  readonly region: string;
  readonly domain: string;
  readonly endpoint: string;
}

const PRIVATE =
  /^\d{12}\.dkr[.-]ecr(-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.(amazonaws\.com(?:\.cn)?|on\.aws)$/;
const PUBLIC = "public.ecr.aws";

const AuthorizationData = Type.Object({
  /** base64 of `AWS:password`. */
  authorizationToken: Type.String(),
  /** Seconds since 1970. */
  expiresAt: Type.Optional(Type.Number()),
});

const Answer = Type.Object({
  authorizationData: Type.Union([
    AuthorizationData,
    Type.Array(AuthorizationData, { minItems: 1, maxItems: 100 }),
  ]),
});

/** The identities that `registry` accepts; none when it isn't Amazon's. */
export function ecrIdentities(registry: string, context: CloudContext): CloudIdentity[] {
  const ecr = parseEcr(registry);
  if (!ecr) return [];
  const what = `can't get credentials for ${registry}`;
  const options = { ...context, what, region: ecr.region, domain: ecr.domain };
  const sources = configuredKeys(options);
  // Anybody may read the public one: nobody waits there for a machine that may not be Amazon's.
  if (ecr.service === "ecr") sources.push(instanceKeys(options));
  return sources.map((source: KeySource) => ({
    name: source.name,
    async ask() {
      const keys = await source.keys();
      return typeof keys === "string" ? keys : buyPassword(ecr, keys, context, what);
    },
  }));
}

function parseEcr(registry: string): Ecr | undefined {
  if (registry === PUBLIC) {
    const [region, domain] = ["us-east-1", "amazonaws.com"];
    const endpoint = `https://api.ecr-public.${region}.${domain}/`;
    return { service: "ecr-public", api: "SpencerFrontendService", region, domain, endpoint };
  }
  const [, fips, region, suffix] = PRIVATE.exec(registry) ?? [];
  if (!region || !suffix) return undefined;
  const domain = suffix === "on.aws" ? "amazonaws.com" : suffix;
  const endpoint = `https://${fips ? "ecr-fips" : "api.ecr"}.${region}.${domain}/`;
  const api = "AmazonEC2ContainerRegistry_V20150921";
  return { service: "ecr", api, region, domain, endpoint };
}

/** Amazon ECR API, GetAuthorizationToken. */
async function buyPassword(
  { service, api, region, endpoint }: Ecr,
  keys: AwsKeys,
  { env, send }: CloudContext,
  what: string,
): Promise<Expiring<Credential>> {
  const variable = service.toUpperCase().replace("-", "_");
  const url = awsEndpoint(env, variable) ?? new URL(endpoint);
  const body = new TextEncoder().encode("{}");
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": `${api}.GetAuthorizationToken`,
  };
  const scope = { region, service, date: new Date() };
  const { authorizationData } = await askJson(send, Answer, {
    what: `${what}: Amazon ECR`,
    method: "POST",
    url,
    headers: signedHeaders({ method: "POST", url, headers, body }, keys, scope),
    body,
    secrets: [keys.sessionToken ?? "", keys.secretAccessKey],
  });
  const data = [authorizationData].flat()[0];
  const decoded = Buffer.from(data?.authorizationToken ?? "", "base64").toString("utf8");
  const [, username, password] = /^([^:]+):(.+)$/s.exec(decoded) ?? [];
  if (!username || !password) {
    throw new Failure("content", `${what}: ${url.host} sent no password that can be used`);
  }
  return {
    value: { kind: "basic", username, password },
    lifetime: data?.expiresAt === undefined ? undefined : lifetimeUntil(data.expiresAt * 1000),
  };
}
