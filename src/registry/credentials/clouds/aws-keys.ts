/** Who we are to AWS, in the order in which its SDKs ask: variables, web identity, container, machine. */
import { Type } from "@sinclair/typebox";
import { Failure } from "../../../lib/failure.ts";
import { isLoopback } from "../../host.ts";
import { askJson, askText, form, probe } from "./endpoint.ts";
import { type CloudContext, parseEndpoint, readNamedFile } from "./identity.ts";
import type { AwsKeys } from "./signature.ts";

export interface KeySource {
  /** For messages. */
  readonly name: string;
  /** A text says why the environment doesn't have them. @throws {Failure} it should have them */
  keys(): Promise<AwsKeys | string>;
}

export interface KeyOptions extends Pick<CloudContext, "env" | "send"> {
  /** `can't get credentials for …` */
  readonly what: string;
  /** Where to ask for them when AWS_REGION doesn't say it: `us-east-1`. */
  readonly region: string;
  /** `amazonaws.com` */
  readonly domain: string;
}

const CONTAINER_HOST = "http://169.254.170.2";
const INSTANCE_HOST = "http://169.254.169.254";
/** The agents of ECS and EKS, which speak plain HTTP within the machine. */
const CONTAINER_AGENTS = new Set(["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]);

const LentKeys = Type.Object({
  AccessKeyId: Type.String(),
  SecretAccessKey: Type.String(),
  Token: Type.String(),
});

/** Keys in variables, of a Kubernetes service account, of an ECS task or EKS pod. */
export function configuredKeys(options: KeyOptions): KeySource[] {
  return [staticKeys(options), webIdentityKeys(options), containerKeys(options)];
}

function staticKeys({ env }: KeyOptions): KeySource {
  return {
    name: "AWS_ACCESS_KEY_ID",
    async keys() {
      const accessKeyId = env["AWS_ACCESS_KEY_ID"];
      const secretAccessKey = env["AWS_SECRET_ACCESS_KEY"];
      if (!accessKeyId || !secretAccessKey) return "it isn't set, or not AWS_SECRET_ACCESS_KEY";
      return { accessKeyId, secretAccessKey, sessionToken: env["AWS_SESSION_TOKEN"] };
    },
  };
}

/** STS, AssumeRoleWithWebIdentity: how a Kubernetes service account is known to AWS. */
function webIdentityKeys({ env, send, what, region, domain }: KeyOptions): KeySource {
  return {
    name: "AWS_WEB_IDENTITY_TOKEN_FILE",
    async keys() {
      const role = env["AWS_ROLE_ARN"];
      if (!role || !env["AWS_WEB_IDENTITY_TOKEN_FILE"]) return "it isn't set, or not AWS_ROLE_ARN";
      const token = await readNamedFile(env, "AWS_WEB_IDENTITY_TOKEN_FILE");
      const home = env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] || region;
      const url = awsEndpoint(env, "STS") ?? new URL(`https://sts.${home}.${domain}/`);
      const text = await askText(send, {
        what: `${what}: AWS STS`,
        method: "POST",
        url,
        secrets: [token],
        ...form({
          Action: "AssumeRoleWithWebIdentity",
          Version: "2011-06-15",
          RoleArn: role,
          RoleSessionName: env["AWS_ROLE_SESSION_NAME"] || "ocireg",
          WebIdentityToken: token,
        }),
      });
      return readStsKeys(text) ?? refuse(what, url);
    },
  };
}

/** The container credentials of ECS, and the pod identities of EKS. */
function containerKeys({ env, send, what }: KeyOptions): KeySource {
  return {
    name: "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    async keys() {
      const full = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"];
      const relative = env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"];
      if (!full && !relative) return "it isn't set, nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
      const url = relative
        ? new URL(relative, CONTAINER_HOST)
        : parseEndpoint(full ?? "", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
      const isNear = isLoopback(url.hostname) || CONTAINER_AGENTS.has(url.hostname);
      if (url.protocol === "http:" && !isNear) {
        const name = JSON.stringify(url.host);
        throw new Failure("usage", `${what}: plain HTTP to ${name} would show them to others`);
      }
      const authorization = env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
        ? await readNamedFile(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        : env["AWS_CONTAINER_AUTHORIZATION_TOKEN"];
      const lent = await askJson(send, LentKeys, {
        what: `${what}: the container's credentials`,
        method: "GET",
        url,
        secrets: authorization ? [authorization] : [],
        ...(authorization && { headers: { authorization } }),
      });
      return fromLent(lent);
    },
  };
}

/** The role of an EC2 instance: "Instance Metadata Service Version 2". */
export function instanceKeys({ env, send, what }: KeyOptions): KeySource {
  const endpoint = env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] || INSTANCE_HOST;
  return {
    name: "the role of this EC2 instance",
    async keys() {
      if (env["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true") {
        return "AWS_EC2_METADATA_DISABLED is set";
      }
      const base = parseEndpoint(endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
      const at = (path: string) => new URL(`/latest/${path}`, base);
      const session = await probe(send, {
        method: "PUT",
        url: at("api/token"),
        headers: { "x-aws-ec2-metadata-token-ttl-seconds": "300" },
      });
      if (session?.status !== 200) return `no instance metadata at ${base.host}`;
      const authorized = {
        what: `${what}: the instance's metadata`,
        method: "GET",
        headers: { "x-aws-ec2-metadata-token": session.text },
        secrets: [session.text],
      } as const;
      const roles = at("meta-data/iam/security-credentials/");
      const role = (await askText(send, { ...authorized, url: roles })).split("\n", 1)[0] ?? "";
      const url = new URL(encodeURIComponent(role), roles);
      return fromLent(await askJson(send, LentKeys, { ...authorized, url }));
    },
  };
}

/** Where the SDKs' own variables say that a service is. */
export function awsEndpoint(env: CloudContext["env"], service: string): URL | undefined {
  for (const variable of [`AWS_ENDPOINT_URL_${service}`, "AWS_ENDPOINT_URL"]) {
    const text = env[variable];
    if (text) return parseEndpoint(text, variable);
  }
  return undefined;
}

function fromLent({ AccessKeyId, SecretAccessKey, Token }: typeof LentKeys.static): AwsKeys {
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token };
}

function readStsKeys(xml: string): AwsKeys | undefined {
  const element = (name: string) =>
    new RegExp(`<${name}>\\s*([A-Za-z0-9+/=_-]+)\\s*</${name}>`).exec(xml)?.[1];
  const accessKeyId = element("AccessKeyId");
  const secretAccessKey = element("SecretAccessKey");
  const sessionToken = element("SessionToken");
  return accessKeyId && secretAccessKey && sessionToken
    ? { accessKeyId, secretAccessKey, sessionToken }
    : undefined;
}

function refuse(what: string, url: URL): never {
  throw new Failure("content", `${what}: ${url.host} sent no keys that can be used`);
}
