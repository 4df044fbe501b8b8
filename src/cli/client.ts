/** The registry client that a command's settings describe. */
import type { Settings } from "../config/schema.ts";
import { Failure } from "../lib/failure.ts";
import { RegistryClient } from "../registry/client.ts";
import type { ClientEvent, ClientOptions } from "../registry/options.ts";
import type { Context } from "./context.ts";
import { logger } from "./log.ts";

export type ConnectionSettings = Pick<
  Settings,
  | "plainHttp"
  | "insecureSkipTlsVerify"
  | "ca"
  | "cert"
  | "key"
  | "hostsDir"
  | "mirrors"
  | "username"
  | "password"
  | "passwordStdin"
  | "connectTimeout"
  | "stallTimeout"
> &
  Partial<Pick<Settings, "maxConnections" | "limitRate">>;

/** A password that is longer than this isn't one. */
const maxPasswordLength = 64 * 1024;

/**
 * @param registry the one that a given user, password and certificate are for
 * @throws {Failure} `usage` for half of a user and password, or a key without its certificate
 */
export async function openClient(
  context: Context,
  settings: ConnectionSettings,
  registry: string,
  onEvent: (event: ClientEvent) => void = logEvent,
): Promise<RegistryClient> {
  const { plainHttp, insecureSkipTlsVerify, ca, hostsDir, mirrors } = settings;
  const { connectTimeout, stallTimeout, maxConnections, limitRate } = settings;
  return new RegistryClient({
    plainHttp,
    insecureSkipTlsVerify,
    ...(ca !== undefined && { caFile: ca }),
    ...clientCertificate(settings, registry),
    ...(hostsDir !== undefined && { hostsDirectories: [hostsDir] }),
    ...(mirrors && { mirrors }),
    ...(await credentials(context, settings, registry)),
    env: context.env,
    connectTimeout,
    stallTimeout,
    ...(maxConnections !== undefined && { maxConnections }),
    ...(limitRate !== undefined && { limitRate }),
    onEvent,
  });
}

function logEvent(event: ClientEvent): void {
  if (event.type === "warning") {
    const { host, message: text } = event;
    if (host === undefined) logger().warn("{text}", { text });
    else logger().warn("{host} warns: {text}", { host, text });
  } else {
    const { host, attempt, delay, reason } = event;
    logger().info("{host}: attempt {attempt} failed, the next follows in {delay} ms: {reason}", {
      host,
      attempt,
      delay: Math.round(delay),
      reason,
    });
  }
}

/** Like a user and password, a certificate is for one registry. */
function clientCertificate(
  { cert, key }: ConnectionSettings,
  registry: string,
): Pick<ClientOptions, "clientCertificate"> {
  if (cert !== undefined) return { clientCertificate: { cert, key: key ?? cert, registry } };
  if (key !== undefined) throw new Failure("usage", "--key needs a certificate: give --cert");
  return {};
}

async function credentials(
  context: Context,
  settings: ConnectionSettings,
  registry: string,
): Promise<Pick<ClientOptions, "username" | "password" | "credentialRegistry">> {
  const { username } = settings;
  const password = await givenPassword(context, settings);
  if (username === undefined && password === undefined) return {};
  if (username === undefined) {
    throw new Failure("usage", "a password needs a user: give --username");
  }
  if (password === undefined) {
    throw new Failure(
      "usage",
      "--username needs a password: give --password-stdin, or set OCIREG_PASSWORD",
    );
  }
  return { username, password, credentialRegistry: registry };
}

/**
 * The password that came with the command, if one did.
 *
 * @throws {Failure} `usage`: standard input has none
 */
export async function givenPassword(
  context: Context,
  { password, passwordStdin }: Pick<ConnectionSettings, "password" | "passwordStdin">,
): Promise<string | undefined> {
  return passwordStdin ? readPassword(context.stdin()) : password;
}

/** The first line of standard input. */
async function readPassword(input: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of input) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n") || text.length > maxPasswordLength) break;
  }
  const password = text.split(/\r?\n/, 1)[0] ?? "";
  if (password === "" || password.length > maxPasswordLength) {
    throw new Failure("usage", "--password-stdin found no password on standard input");
  }
  return password;
}
