/** What the identities of all clouds have in common. */
import { readFile } from "node:fs/promises";
import { Failure } from "../../../lib/failure.ts";
import type { Expiring } from "../../../lib/renewing.ts";
import type { Send } from "../../http.ts";
import type { Credential, Environment } from "../credential.ts";

/** One way to be known to a cloud's registry. */
export interface CloudIdentity {
  /** For messages: `the web identity of AWS_WEB_IDENTITY_TOKEN_FILE`. */
  readonly name: string;
  /**
   * A credential for the registry; a text says why the environment doesn't offer this identity.
   *
   * @throws {Failure} it offers it, and the cloud refuses or doesn't answer
   */
  ask(): Promise<Expiring<Credential> | string>;
}

export interface CloudContext {
  readonly env: Environment;
  /** Retries and follows redirects, and adds no credentials. */
  readonly send: Send;
  /** Where a registry's API is: `https://name.azurecr.io`. */
  readonly originOf: (registry: string) => string;
}

/** The least time that a credential is taken to live: our clock may be wrong. */
const MIN_LIFETIME = 60_000;

/** The milliseconds that are left until `time`, one of `Date.now()`. */
export function lifetimeUntil(time: number): number {
  return Math.max(MIN_LIFETIME, time - Date.now());
}

/** The text of the file that a variable names, without white space around it. */
export async function readNamedFile(env: Environment, variable: string): Promise<string> {
  const path = env[variable] ?? "";
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `can't read ${JSON.stringify(path)}, which ${variable} names: ${code}`;
    throw new Failure("usage", message, { cause });
  }
}

/** A URL that came from the environment. @throws {Failure} `usage`, naming `variable` */
export function parseEndpoint(text: string, variable: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new Failure("usage", `${variable} is ${JSON.stringify(text)}, want an http or https URL`);
}
