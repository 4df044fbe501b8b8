/** AWS Signature Version 4: "Create a signed AWS API request". */
import { createHash, createHmac } from "node:crypto";

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Comes with keys that were lent for a time. */
  readonly sessionToken?: string | undefined;
}

/** A request without a query. */
export interface Signable {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. All of them are signed, and the host. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SignatureScope {
  readonly region: string;
  /** `ecr` */
  readonly service: string;
  readonly date: Date;
}

const ALGORITHM = "AWS4-HMAC-SHA256";

/** The headers of the request, with those that prove who makes it. */
export function signedHeaders(
  { method, url, headers, body }: Signable,
  keys: AwsKeys,
  { region, service, date }: SignatureScope,
): Record<string, string> {
  const time = date.toISOString().replace(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const sent: Record<string, string> = {
    ...headers,
    "x-amz-date": time,
    ...(keys.sessionToken && { "x-amz-security-token": keys.sessionToken }),
  };
  const entries = Object.entries({ ...sent, host: url.host })
    .map(([name, value]) => [name, value.trim().replace(/ +/g, " ")] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = entries.map(([name]) => name).join(";");
  const canonical = [
    method,
    url.pathname,
    "",
    ...entries.map(([name, value]) => `${name}:${value}`),
    "",
    names,
    sha256(body),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const key = [day, region, service, "aws4_request"].reduce<string | Buffer>(
    hmac,
    `AWS4${keys.secretAccessKey}`,
  );
  const signature = hmac(key, [ALGORITHM, time, scope, sha256(canonical)].join("\n"));
  return {
    ...sent,
    authorization: `${ALGORITHM} Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature.toString("hex")}`,
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac("sha256", key).update(data).digest();
}
