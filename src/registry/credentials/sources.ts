/**
 * Where credentials come from, in order. What is asked, what errors advise and what `auth check` and
 * docs/authentication.md tell is this one list.
 */
import { Renewing } from "../../lib/renewing.ts";
import { resolveHost } from "../host.ts";
import type { Send } from "../http.ts";
import type { ClientOptions } from "../options.ts";
import { type AuthFile, findAuthEntries, parseAuthFile } from "./auth-file.ts";
import type { CloudContext, CloudIdentity } from "./clouds/identity.ts";
import type { Credential, Environment } from "./credential.ts";
import { authFilePaths, readAuthFile } from "./files.ts";
import { askHelper, helperProgram } from "./helper.ts";

/** A place that may have a credential for a repository. */
export interface Source {
  /** For messages: `"/home/me/.docker/config.json"`. */
  readonly name: string;
  /**
   * What it has; a text says why it has nothing. The credential `refused` isn't given again where
   * another one may be had.
   *
   * @throws {Failure} it should have one, and fails to say it
   */
  find(refused?: Credential): Promise<Credential | string>;
}

export class Sources {
  readonly #options: ClientOptions;
  readonly #env: Environment;
  readonly #cloud: CloudContext;
  readonly #files = new Map<string, Promise<AuthFile | undefined>>();
  /** What helpers and clouds said, by their name and registry: once for all repositories. */
  readonly #kept = new Renewing<Credential | string>();

  /** @param send retries and follows redirects, and adds no credentials: for the clouds */
  constructor(options: ClientOptions, send: Send) {
    this.#options = options;
    this.#env = options.env ?? process.env;
    const originOf = (registry: string) => resolveHost(registry, options).origin;
    this.#cloud = { env: this.#env, send, originOf };
  }

  /** @throws {Failure} `usage`: a file can't be read */
  async *of(registry: string, repository?: string): AsyncGenerator<Source> {
    yield this.#given(registry);
    const inline = this.#env["DOCKER_AUTH_CONFIG"];
    if (inline) {
      const file = parseAuthFile(inline, "DOCKER_AUTH_CONFIG");
      yield* this.#inFile("DOCKER_AUTH_CONFIG", file, registry, repository);
    } else {
      yield none("DOCKER_AUTH_CONFIG", "it isn't set");
    }
    for (const path of authFilePaths(this.#env)) {
      const file = await this.#read(path);
      yield* this.#inFile(JSON.stringify(path), file, registry, repository);
    }
    // Few need them, and they bring much code along.
    const { cloudIdentities } = await import("./clouds/clouds.ts");
    for (const identity of cloudIdentities(registry, this.#cloud)) {
      yield this.#inCloud(identity, registry);
    }
  }

  #given(registry: string): Source {
    const { username, password, credentialRegistry } = this.#options;
    const name = "the command line or environment";
    if (username === undefined || password === undefined) return none(name, "no user was given");
    if (registry !== credentialRegistry) return none(name, `its user is for ${credentialRegistry}`);
    return having(name, { kind: "basic", username, password });
  }

  #read(path: string): Promise<AuthFile | undefined> {
    let file = this.#files.get(path);
    if (!file) {
      file = readAuthFile(path);
      this.#files.set(path, file);
    }
    return file;
  }

  *#inFile(
    name: string,
    file: AuthFile | undefined,
    registry: string,
    repository: string | undefined,
  ): Generator<Source> {
    if (!file) return yield none(name, "there is no such file");
    const { forNamespace, helper, forRegistry } = findAuthEntries(file, registry, repository);
    if (forNamespace) return yield having(name, forNamespace);
    if (helper) yield this.#helper(name, helper, registry);
    yield forRegistry ? having(name, forRegistry) : none(name, "it has nothing for it");
  }

  #helper(file: string, helper: string, registry: string): Source {
    const options = { env: this.#env, timeout: this.#options.helperTimeout };
    const ask = async () => ({
      value: (await askHelper(helper, registry, options)) ?? "it has nothing for it",
    });
    return {
      name: `${JSON.stringify(helperProgram(helper))}, which ${file} names`,
      find: (refused) => this.#kept.get(`${helper} ${registry}`, ask, { refused }),
    };
  }

  #inCloud({ name, ask }: CloudIdentity, registry: string): Source {
    const fetch = async () => {
      const found = await ask();
      return typeof found === "string" ? { value: found } : found;
    };
    return { name, find: (refused) => this.#kept.get(`${name} ${registry}`, fetch, { refused }) };
  }
}

function having(name: string, credential: Credential): Source {
  return { name, find: async () => credential };
}

function none(name: string, reason: string): Source {
  return { name, find: async () => reason };
}
