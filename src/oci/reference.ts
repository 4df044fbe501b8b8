/**
 * References: `registry/repository:tag@digest`, in the grammar of the distribution/reference
 * project (0.6) with its Docker Hub defaults. Beyond that grammar, a registry is compared in lower
 * case and its port is a real one, and a digest's algorithm is one that is known here.
 *
 * The counterpart of go-containerregistry's `name`: a `Reference` is its own `Context()`,
 * `RegistryStr()` and `RepositoryStr()` are its fields, `Identifier()` is `identifierOf`, `Name()` is
 * `formatReference`; `NewRegistry`, `NewRepository`, `NewTag` and `NewDigest` are `parseRegistry`,
 * `parseRepository`, `withTag` and `withDigest`.
 */
import { type Digest, InvalidDigestError, parseDigest } from "./digest.ts";

export const DEFAULT_REGISTRY = "docker.io";
export const DEFAULT_TAG = "latest";

/** A repository in a registry. */
export interface Repository {
  /** `host[:port]`; `docker.io` for Docker Hub. */
  readonly registry: string;
  /** Without the registry: `library/ubuntu`. */
  readonly repository: string;
}

/** A repository and, in it, a tag, a digest or both. With both, the digest is what is meant. */
export interface Reference extends Repository {
  readonly tag?: string;
  readonly digest?: Digest;
}

export class InvalidReferenceError extends Error {
  override readonly name = "InvalidReferenceError";
  constructor(
    readonly value: string,
    reason: string,
  ) {
    super(`invalid reference ${JSON.stringify(value.slice(0, 400))}: ${reason}`);
  }
}

const pathComponent = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const domainLabel = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";

const repositoryPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const registryPattern = new RegExp(
  `^(?:${domainLabel}(?:\\.${domainLabel})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`,
);

const TAG_RULE =
  'must be 1 to 128 of letters, digits, "_", "." and "-", and start with none of "." and "-"';

/** Longest repository, in characters. */
export const MAX_REPOSITORY_LENGTH = 255;
/** A repository of 255, a registry of 255, a tag and the longest digest fit comfortably. */
const maxReferenceLength = 2048;

/** Whether `name` may name a repository on the wire (distribution-spec, "Pulling manifests"). */
export function isRepositoryName(name: string): boolean {
  return name.length <= MAX_REPOSITORY_LENGTH && repositoryPattern.test(name);
}

export function isTag(tag: string): boolean {
  return tagPattern.test(tag);
}

/** Whether `registry` is a `host[:port]`. */
export function isRegistry(registry: string): boolean {
  return registry.length <= 255 && registryPattern.test(registry) && hasValidPort(registry);
}

/**
 * Parses what a person types: `model`, `user/model:tag`, `host:5000/a/b@sha256:…`,
 * `oci://ghcr.io/org/model`. Without tag and digest, the tag is `latest`.
 *
 * @throws {InvalidReferenceError}
 */
export function parseReference(text: string): Reference {
  const reference = parse(text);
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: DEFAULT_TAG }
    : reference;
}

/**
 * Parses a repository; a tag or digest is an error, so that `tags ls host/repo:tag` isn't
 * silently about something else.
 *
 * @throws {InvalidReferenceError}
 */
export function parseRepository(text: string): Repository {
  const { registry, repository, tag, digest } = parse(text);
  if (tag !== undefined || digest !== undefined) {
    throw new InvalidReferenceError(text, "want a repository without tag and digest");
  }
  return { registry, repository };
}

/** @throws {InvalidReferenceError} when `text` isn't a `host[:port]` */
export function parseRegistry(text: string): string {
  const registry = withoutScheme(text).replace(/\/$/, "");
  if (!isRegistry(registry)) throw new InvalidReferenceError(text, "want a registry, host[:port]");
  return normalizeRegistry(registry);
}

function parse(text: string): Reference {
  const fail = (reason: string) => new InvalidReferenceError(text, reason);
  if (text.length > maxReferenceLength) {
    throw fail(`longer than ${maxReferenceLength} characters`);
  }
  let rest = withoutScheme(text);
  if (rest === "") throw fail("it is empty, want [registry/]repository[:tag][@digest]");
  if (rest.includes("://")) throw fail("want no scheme but oci:// in front of the registry");
  if (/^[a-f0-9]{64}$/.test(rest)) throw fail("64 hex digits name a digest, not a repository");

  let digest: Digest | undefined;
  const at = rest.indexOf("@");
  if (at >= 0) {
    try {
      digest = parseDigest(rest.slice(at + 1));
    } catch (error) {
      if (error instanceof InvalidDigestError) throw fail(error.message);
      throw error;
    }
    rest = rest.slice(0, at);
  }

  let tag: string | undefined;
  const colon = rest.lastIndexOf(":");
  // A colon before the last slash belongs to the registry's port.
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    if (!isTag(tag)) {
      throw fail(`the tag ${JSON.stringify(tag.slice(0, 140))} ${TAG_RULE}`);
    }
    rest = rest.slice(0, colon);
  }

  const { registry, repository } = splitRegistry(rest);
  if (!isRegistry(registry)) {
    throw fail(`the registry ${JSON.stringify(registry.slice(0, 260))} isn't host[:port]`);
  }
  if (repository.length > MAX_REPOSITORY_LENGTH) {
    throw fail(`the repository is longer than ${MAX_REPOSITORY_LENGTH} characters`);
  }
  if (!repositoryPattern.test(repository)) {
    throw fail(
      repository !== repository.toLowerCase() && repositoryPattern.test(repository.toLowerCase())
        ? "the repository must be in lower case"
        : `the repository ${JSON.stringify(repository)} must be lower-case letters and digits, separated by ".", "_", "__", "-" or "/"`,
    );
  }
  return {
    registry: normalizeRegistry(registry),
    repository,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

function withoutScheme(text: string): string {
  return text.startsWith("oci://") ? text.slice("oci://".length) : text;
}

/** The first component is a registry when it can't be a Docker Hub user. */
function splitRegistry(name: string): Repository {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const [registry, repository] = isHost(first)
    ? [first, name.slice(slash + 1)]
    : [DEFAULT_REGISTRY, name];
  return normalizeRegistry(registry) === DEFAULT_REGISTRY && !repository.includes("/")
    ? { registry, repository: `library/${repository}` }
    : { registry, repository };
}

/** Whether it has a dot, a port or an upper-case letter, or is `localhost`. */
function isHost(component: string): boolean {
  return (
    /[.:]/.test(component) || component === "localhost" || component !== component.toLowerCase()
  );
}

/**
 * Host names have no case. But a name of one label stays as it is, because in lower case it would
 * read as a Docker Hub user.
 */
function normalizeRegistry(registry: string): string {
  const lower = registry.toLowerCase();
  if (lower === "index.docker.io") return DEFAULT_REGISTRY;
  return isHost(lower) ? lower : registry;
}

function hasValidPort(registry: string): boolean {
  const port = /:([0-9]{1,5})$/.exec(registry)?.[1];
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65535);
}

/** `registry/repository`. */
export function formatRepository({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

/** The canonical text: `docker.io/library/model:latest`, `host/repo:tag@sha256:…`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${formatRepository(reference)}${tag}${digest}`;
}

/**
 * The reference of a tag in a repository.
 *
 * @throws {InvalidReferenceError} when `tag` isn't one
 */
export function withTag({ registry, repository }: Repository, tag: string): Reference {
  if (!isTag(tag)) throw new InvalidReferenceError(tag, TAG_RULE);
  return { registry, repository, tag };
}

/** The reference of a digest in a repository. */
export function withDigest({ registry, repository }: Repository, digest: Digest): Reference {
  return { registry, repository, digest };
}

/** What goes into a manifest URL: the digest where there is one, else the tag. */
export function identifierOf(reference: Reference): string {
  return reference.digest ?? reference.tag ?? DEFAULT_TAG;
}
