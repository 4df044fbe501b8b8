/**
 * Content digests: `algorithm:encoded`, for example `sha256:6c3c624b…`. The counterpart of
 * go-containerregistry's `v1.Hash`: `NewHash` is `parseDigest`, `SHA256` is `digestOf`, `Algorithm`
 * and `Hex` are `algorithmOf` and `encodedOf`.
 *
 * Grammar: image-spec, descriptor.md#digests. Known algorithms are held to their exact length and
 * to lower-case hex; an algorithm that nobody registered is refused, because content that can't be
 * verified is content that can't be trusted.
 */

/**
 * A digest whose syntax was checked: it holds no slash, no dot component and no control character.
 * One that was read from a descriptor may name an algorithm that isn't known here; `isDigest` tells.
 */
export type Digest = string & { readonly __digest: unique symbol };

/** Incremental hashing. `digest` ends the computation and returns the encoded (hex) part. */
export interface Hasher {
  update(chunk: Uint8Array): void;
  /** Another one that has seen the same, and goes on by itself. */
  copy(): Hasher;
  digest(): string;
}

export interface Algorithm {
  readonly name: string;
  /** What the encoded part must look like. */
  readonly encoded: RegExp;
  createHasher(): Hasher;
}

export class InvalidDigestError extends Error {
  override readonly name = "InvalidDigestError";
  constructor(
    readonly value: string,
    reason: string,
  ) {
    super(`invalid digest ${JSON.stringify(abbreviate(value))}: ${reason}`);
  }
}

const algorithms = new Map<string, Algorithm>();

const grammar = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
/** Longer than any digest that could be registered sensibly; bounds the work on hostile input. */
const maxLength = 1024;

/**
 * Makes a further algorithm known to parsing, hashing and storage.
 *
 * @throws {Error} when the name is taken, so that nobody weakens a known algorithm, or isn't one
 */
export function registerAlgorithm(algorithm: Algorithm): void {
  const refuse = (reason: string) =>
    new Error(`can't register digest algorithm ${JSON.stringify(algorithm.name)}: ${reason}`);
  if (!/^[a-z0-9]+(?:[+._-][a-z0-9]+)*$/.test(algorithm.name)) throw refuse("not a valid name");
  if (algorithms.has(algorithm.name)) throw refuse("it is registered already");
  algorithms.set(algorithm.name, algorithm);
}

function registerBuiltIn(name: "sha256" | "sha512", hexLength: number): void {
  registerAlgorithm({
    name,
    encoded: new RegExp(`^[a-f0-9]{${hexLength}}$`),
    createHasher: () => builtInHasher(new Bun.CryptoHasher(name)),
  });
}

function builtInHasher(hasher: Bun.CryptoHasher): Hasher {
  return {
    update: (chunk) => void hasher.update(chunk),
    copy: () => builtInHasher(hasher.copy()),
    digest: () => hasher.digest("hex"),
  };
}

registerBuiltIn("sha256", 64);
registerBuiltIn("sha512", 128);

/** The algorithm of a name, or undefined when nobody registered it. */
export function findAlgorithm(name: string): Algorithm | undefined {
  return algorithms.get(name);
}

export function algorithmNames(): string[] {
  return [...algorithms.keys()];
}

/** @throws {InvalidDigestError} when the text isn't a digest of a registered algorithm */
export function parseDigest(text: string): Digest {
  if (text.length > maxLength || !grammar.test(text)) {
    throw new InvalidDigestError(text, "want algorithm:encoded, like sha256:<64 hex digits>");
  }
  const colon = text.indexOf(":");
  const algorithm = algorithms.get(text.slice(0, colon));
  if (!algorithm) {
    throw new InvalidDigestError(
      text,
      `unsupported algorithm, want ${algorithmNames().join(" or ")}`,
    );
  }
  if (!algorithm.encoded.test(text.slice(colon + 1))) {
    throw new InvalidDigestError(text, `the encoded part isn't that of ${algorithm.name}`);
  }
  return text as Digest;
}

export function isDigest(text: string): text is Digest {
  if (text.length > maxLength || !grammar.test(text)) return false;
  const colon = text.indexOf(":");
  return algorithms.get(text.slice(0, colon))?.encoded.test(text.slice(colon + 1)) ?? false;
}

/** The part before the colon. */
export function algorithmOf(digest: Digest): string {
  return digest.slice(0, digest.indexOf(":"));
}

/** The part after the colon: lower-case hex for the built-in algorithms. */
export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** @throws {InvalidDigestError} for an algorithm that isn't registered */
export function createHasher(algorithm: string): Hasher {
  const found = algorithms.get(algorithm);
  if (!found) throw new InvalidDigestError(algorithm, "unsupported algorithm");
  return found.createHasher();
}

/** The digest of bytes that are in memory. */
export function digestOf(bytes: Uint8Array | string, algorithm = "sha256"): Digest {
  const hasher = createHasher(algorithm);
  hasher.update(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
  return finishDigest(algorithm, hasher);
}

/** Ends `hasher`, which was made for `algorithm`, and returns the digest. */
export function finishDigest(algorithm: string, hasher: Hasher): Digest {
  return `${algorithm}:${hasher.digest()}` as Digest;
}

function abbreviate(value: string): string {
  return value.length > 160 ? `${value.slice(0, 157)}...` : value;
}
