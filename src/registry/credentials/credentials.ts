/** The credentials of one client: found once, and found again when those that worked are refused. */
import { Failure, type FailureKind } from "../../lib/failure.ts";
import type { Access, Send } from "../http.ts";
import type { ClientOptions } from "../options.ts";
import type { Credential } from "./credential.ts";
import { type Source, Sources } from "./sources.ts";

/** What a source said. */
export interface AskedSource {
  readonly source: string;
  /** Why it has no credential; undefined for the one that has. */
  readonly reason?: string;
  /** Whether it should have had one. */
  readonly failed?: true;
}

/** What was found for a repository, and where. */
export interface FoundCredential {
  readonly credential?: Credential;
  /** For messages: `"/home/me/.docker/config.json"`. */
  readonly source?: string;
  /** All that were asked, in order. */
  readonly asked: readonly AskedSource[];
}

interface Choice {
  readonly source?: Source;
  readonly asked: readonly AskedSource[];
}

export class Credentials {
  readonly #sources: Sources;
  readonly #choices = new Map<string, Promise<Choice>>();
  readonly #accepted = new WeakSet<Credential>();

  /**
   * @param send retries and follows redirects, and adds no credentials
   * @throws {Failure} `usage`: a user name without its password, or without its registry
   */
  constructor(options: ClientOptions, send: Send) {
    const { username, password, credentialRegistry } = options;
    if ((username === undefined) !== (password === undefined)) {
      throw new Failure("usage", "a user name and a password are only of use together");
    }
    if (username !== undefined && credentialRegistry === undefined) {
      throw new Failure("usage", "a user name and a password need the registry they are for");
    }
    this.#sources = new Sources(options, send);
  }

  /**
   * What is known for `access`. Sources are asked once, and not before a registry asks who we are.
   * `refused` is what it doesn't accept: where that was accepted before, its life is over, and its
   * source is asked for another one.
   *
   * @throws {Failure} `usage`: a file can't be read; `unauthorized`, `network`: a source that had a
   *   credential can't renew it
   */
  async find(access: Access, refused?: Credential): Promise<FoundCredential> {
    const { source, asked } = await this.#choose(access);
    if (!source) return { asked };
    const isSpent = refused && this.#accepted.has(refused);
    const found = await source.find(isSpent ? refused : undefined);
    return typeof found === "string"
      ? { asked }
      : { credential: found, source: source.name, asked };
  }

  /** Notes that a registry, or its token server, took the credential. */
  accept(credential: Credential): void {
    this.#accepted.add(credential);
  }

  /** Whether a registry, or its token server, ever took the credential. */
  isAccepted(credential: Credential): boolean {
    return this.#accepted.has(credential);
  }

  /** What a person can do about a failure that credentials might have changed. */
  async explain(access: Access, kind: FailureKind): Promise<string | undefined> {
    const { credential, source, asked } = await this.find(access);
    const { registry } = access;
    if (credential) {
      return kind === "unauthorized"
        ? `it doesn't accept the credentials from ${source} for this`
        : undefined;
    }
    const failures = asked.filter(({ failed }) => failed).map(({ reason }) => reason);
    // Some registries hide from strangers even that something is there.
    if (kind === "not-found" && failures.length === 0) return undefined;
    const where = [registry, access.repository].filter(Boolean).join("/");
    return [
      `there are no credentials for ${registry}`,
      ...failures,
      `run 'ocireg login ${registry}', or set OCIREG_USERNAME and OCIREG_PASSWORD; 'ocireg auth check ${where}' shows where they are sought`,
    ].join(": ");
  }

  #choose({ registry, repository }: Access): Promise<Choice> {
    const key = repository ? `${registry}/${repository}` : registry;
    let choice = this.#choices.get(key);
    if (!choice) {
      choice = this.#ask(registry, repository);
      this.#choices.set(key, choice);
    }
    return choice;
  }

  async #ask(registry: string, repository: string | undefined): Promise<Choice> {
    const asked: AskedSource[] = [];
    for await (const source of this.#sources.of(registry, repository)) {
      try {
        const found = await source.find();
        if (typeof found !== "string") {
          asked.push({ source: source.name });
          return { source, asked };
        }
        asked.push({ source: source.name, reason: found });
      } catch (error) {
        // Without it, the content may still be public: only a refusal makes this matter.
        if (!(error instanceof Failure)) throw error;
        asked.push({ source: source.name, reason: error.message, failed: true });
      }
    }
    return { asked };
  }
}
