/** The arguments that commands take. */
import { type Digest, parseDigest } from "../oci/digest.ts";
import {
  InvalidReferenceError,
  parseReference,
  parseRegistry,
  parseRepository,
  type Reference,
  type Repository,
} from "../oci/reference.ts";
import type { Argument } from "./command.ts";
import { SHELLS, type Shell } from "./completion-scripts.ts";

export const reference: Argument<Reference> = {
  name: "REF",
  description: "[registry/]repository[:tag][@digest]; docker.io and latest by default",
  parse: parseReference,
};

/** As docker reads it, `ghcr.io` alone is a repository of Docker Hub, which nobody means. */
export const referenceToCheck: Argument<Reference> = {
  ...reference,
  parse(text) {
    if (/^(?:localhost|[^/:@]+\.[^/:@]+)(?::\d+)?\/?$/.test(text)) {
      const registry = text.replace(/\/$/, "");
      throw new Error(
        `${JSON.stringify(text)} is a registry: want a repository there: "${registry}/REPOSITORY"`,
      );
    }
    return parseReference(text);
  },
};

export const source: Argument<Reference> = {
  ...reference,
  name: "SRC",
  description: "What to copy: [registry/]repository[:tag][@digest]",
};

export const target: Argument<Reference> = {
  ...reference,
  name: "DST",
  description: "Where to: [registry/]repository[:tag]; the tag is latest by default",
};

/** Deleting `latest` because nobody said what to delete would be a bad surprise. */
export const exactReference: Argument<Reference> = {
  name: "REF",
  description: "[registry/]repository:tag, or [registry/]repository@digest",
  parse(text) {
    const parsed = parseReference(text);
    if (!hasIdentifier(text)) throw new InvalidReferenceError(text, "want a tag or a digest");
    return parsed;
  },
};

function hasIdentifier(text: string): boolean {
  try {
    parseRepository(text);
    return false;
  } catch {
    return true;
  }
}

export const repository: Argument<Repository> = {
  name: "REPOSITORY",
  description: "[registry/]repository; docker.io by default",
  parse: parseRepository,
};

export const registry: Argument<string> = {
  name: "REGISTRY",
  description: "host[:port]; docker.io for Docker Hub",
  parse: parseRegistry,
};

export const blobReference: Argument<Reference> = {
  name: "REF",
  description: "[registry/]repository, with @digest or followed by the digest",
  parse: parseReference,
};

export const blobDigest: Argument<Digest | undefined> = {
  name: "DIGEST",
  description: "Digest of the blob: sha256:<64 hex digits>",
  parse: parseDigest,
  optional: true,
};

export const attachments: Argument<string> = {
  name: "FILE",
  description: "File to attach",
  repeats: true,
  parse: notEmpty("FILE"),
};

export const model: Argument<string> = {
  name: "PATH",
  description: "Directory of the model, a snapshot of Hugging Face's cache, or a weight file",
  parse: notEmpty("PATH"),
};

export const file: Argument<string> = {
  name: "FILE",
  description: "File to store",
  parse: notEmpty("FILE"),
};

export const manifestFile: Argument<string> = {
  name: "FILE",
  description: "File that holds the manifest; - reads standard input",
  parse: notEmpty("FILE"),
};

/** A model in the cache. */
export const cached: Argument<string> = {
  name: "REF|DIGEST",
  description: "A reference, or the digest of a view or its beginning, as 'cache ls' shows them",
  repeats: true,
  parse(text) {
    if (/^(?:sha256|sha512):[a-f0-9]{0,7}$/.test(text)) {
      throw new Error(`${JSON.stringify(text)} may be many a digest: want at least eight digits`);
    }
    if (!/^(?:sha256|sha512):[a-f0-9]{8,128}$/.test(text)) parseReference(text);
    return text;
  },
  async propose({ env }) {
    const { Cache, defaultCacheRoot } = await import("../pull/cache.ts");
    const names = await new Cache(defaultCacheRoot(env)).names();
    const references = new Set(names.map(({ reference }) => reference));
    return [...references].filter((reference) => /^[!-~]+$/.test(reference));
  },
};

export const shell: Argument<Shell> = {
  name: "SHELL",
  description: SHELLS.join(", "),
  choices: SHELLS,
  parse(text) {
    const found = SHELLS.find((name) => name === text);
    if (!found)
      throw new Error(`no completion for ${JSON.stringify(text)}, want ${SHELLS.join(", ")}`);
    return found;
  },
};

export const commandName: Argument<string | undefined> = {
  name: "COMMAND",
  description: "Command to explain; all of them by default",
  parse: String,
  optional: true,
};

export const subcommandName: Argument<string | undefined> = {
  name: "SUBCOMMAND",
  description: "As in 'ocireg help manifest put'",
  parse: String,
  optional: true,
};

function notEmpty(name: string): (text: string) => string {
  return (text) => {
    if (text === "") throw new Error(`${name} is empty`);
    return text;
  };
}
