/** What authenticates us, and what programs of docker's world call it. */
import { DEFAULT_REGISTRY } from "../../oci/reference.ts";

/** The environment's variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type Credential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** Buys access tokens: the OAuth refresh token that a registry gave at login. */
  | { readonly kind: "identity"; readonly token: string }
  /** An access token as it is. */
  | { readonly kind: "bearer"; readonly token: string };

/** The user name by which docker marks a password that is an identity token. */
const TOKEN_USERNAME = "<token>";

/** What a user name and a secret of docker's world mean; undefined where one of them is empty. */
export function credentialOf(username: string, secret: string): Credential | undefined {
  if (!username || !secret) return undefined;
  if (username === TOKEN_USERNAME) return { kind: "identity", token: secret };
  return { kind: "basic", username, password: secret };
}

/** The name under which docker keeps the credentials of a registry, in files and with helpers. */
export function serverName(registry: string): string {
  return registry === DEFAULT_REGISTRY ? "https://index.docker.io/v1/" : registry;
}
