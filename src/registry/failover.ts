/** One host after another until one has it: mirrors first, the registry itself last. */
import { Failure, type FailureKind } from "../lib/failure.ts";
import type { Repository } from "../oci/reference.ts";
import { ConnectionError } from "./connection-error.ts";
import { type Host, repositoryAt } from "./host.ts";
import type { HttpRequest } from "./http.ts";
import type { ClientEvent } from "./options.ts";
import type { Hosts } from "./registry-hosts.ts";

/** What is wanted: content that a digest names, or what a tag means. */
export type Need = "content" | "meaning";

/** How long a host is waited for: not long, while another one is left. */
export type Patience = Pick<HttpRequest, "retry" | "answerTimeout">;

/** One attempt, whose answer begins within ten seconds. */
export const MIRROR_PATIENCE = { retry: false, answerTimeout: 10_000 } satisfies Patience;
/** Milliseconds for which a mirror isn't asked that couldn't be reached, or was in trouble. */
const REST = 60_000;
/** ... and one that won't give us anything of a repository. */
const REFUSAL = 10 * 60_000;

/** The mirrors of one client, and which of them are of use. */
export class Mirrors {
  /** `performance.now()` from which on a host is asked again, or a host for a repository. */
  readonly #restUntil = new Map<string, number>();
  readonly #told = new Set<string>();

  constructor(readonly onEvent: (event: ClientEvent) => void = () => {}) {}

  /** The mirrors to ask, the first first. */
  usable({ mirrors }: Hosts, { repository }: Repository, need: Need): Host[] {
    return mirrors
      .filter(({ resolves }) => resolves || need === "content")
      .map(({ host }) => host)
      .filter((host) => !this.#rests(keyOf(host)) && !this.#rests(keyOf(host, repository)));
  }

  /**
   * What `ask` gets from the first host that has it. A mirror may fail as it likes; only the
   * registry's failure is thrown.
   */
  async first<T>(
    hosts: Hosts,
    repository: Repository,
    { need, signal }: { need: Need; signal?: AbortSignal | undefined },
    ask: (host: Host, patience: Patience) => Promise<T>,
  ): Promise<T> {
    for (const host of this.usable(hosts, repository, need)) {
      try {
        return await ask(host, MIRROR_PATIENCE);
      } catch (error) {
        if (signal?.aborted) throw error;
        this.failed(host, repository, error);
      }
    }
    return ask(hosts.origin, {});
  }

  /** Notes that a mirror failed with `error`, which decides when it is asked again. */
  failed(host: Host, { repository }: Repository, error: unknown): void {
    const kind = error instanceof ConnectionError ? "network" : kindOf(error);
    if (kind === "content") {
      // Whatever it is: who gives wrong bytes once isn't asked again.
      this.#rest(keyOf(host), Number.POSITIVE_INFINITY, host, "is dropped", error);
    } else if (kind === "network") {
      this.#rest(keyOf(host), REST, host, "isn't used for now", error);
    } else if (kind !== "not-found") {
      this.#rest(keyOf(host, repository), REFUSAL, host, `isn't used for ${repository}`, error);
    }
  }

  #rests(key: string): boolean {
    return (this.#restUntil.get(key) ?? 0) > performance.now();
  }

  #rest(key: string, milliseconds: number, host: Host, what: string, error: unknown) {
    this.#restUntil.set(key, performance.now() + milliseconds);
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const { namespace } = host;
    const mirror = `the mirror ${host.origin}${namespace ? ` of ${namespace}` : ""}`;
    const message = `${mirror} ${what}: ${error instanceof Error ? error.message : String(error)}`;
    this.onEvent({ type: "warning", message });
  }
}

/** @throws `error`, where it isn't about a host */
function kindOf(error: unknown): FailureKind {
  if (error instanceof Failure) return error.kind;
  throw error;
}

function keyOf(host: Host, repository?: string): string {
  const { origin, path = "" } = host;
  return repository === undefined
    ? `${origin}${path}`
    : `${origin}${path} ${repositoryAt(host, repository).repository}`;
}
