/** The whole command line: every command with its arguments, flags and examples. */
import { buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { SettingName } from "../config/schema.ts";
import * as argument from "./arguments.ts";
import { command, type FlagGroup } from "./command.ts";
import type { Context } from "./context.ts";

function flags<const Name extends SettingName>(title: string, ...names: Name[]): FlagGroup<Name> {
  return { title, names };
}

const connection = flags(
  "Connection",
  "plainHttp",
  "insecureSkipTlsVerify",
  "ca",
  "cert",
  "key",
  "hostsDir",
  "mirrors",
  "username",
  "password",
  "passwordStdin",
  "connectTimeout",
  "stallTimeout",
);
const speed = flags("Speed", "maxConnections", "limitRate");
const archives = flags(
  "Archives",
  "maxUnpackedSize",
  "maxArchiveEntries",
  "maxArchiveRatio",
  "maxArchiveHeader",
  "maxZstdWindow",
);
const messages = flags("Messages", "logLevel", "logFormat", "config");
const transfer = flags("Messages", "progress", "logLevel", "logFormat", "config");

const serve = command({
  brief: "Serve a registry from a directory",
  description:
    "Speaks the OCI distribution protocol over a directory in the layout of registry:2, which may be one that registry:2 or registry:3 wrote.",
  arguments: [],
  flags: [
    flags("Flags", "root", "addr", "readOnly", "noDelete", "sparse", "maxManifestSize"),
    flags("Access", "htpasswd", "tlsCert", "tlsKey"),
    flags("Operation", "drainTimeout", "logLevel", "logFormat", "config"),
  ],
  meanings: { config: "Read settings from this TOML file; default: ./ocireg.toml, if it exists" },
  readsDefaultFile: true,
  examples: [
    "ocireg serve",
    "ocireg serve --root /var/lib/registry --addr :5000 --htpasswd users",
    "ocireg serve --addr 127.0.0.1:0 --read-only",
  ],
  load: () => import("./commands/serve.ts"),
});

const pull = command({
  brief: "Get a model from a registry, verified, and print where it is",
  description:
    "Prints the absolute path of a directory that an inference engine opens as it is. What is in the cache isn't fetched again; after an interruption a pull goes on where it stopped.",
  arguments: [argument.reference],
  flags: [
    flags(
      "Flags",
      "output",
      "include",
      "exclude",
      "layout",
      "platform",
      "offline",
      "verify",
      "json",
    ),
    flags("Cache", "cacheDir"),
    archives,
    connection,
    speed,
    transfer,
  ],
  meanings: {
    output: "Download into this directory, of files or the hub's cache, instead of our cache",
    json: "Print reference, digest, path and format as JSON",
  },
  aliases: { o: "output" },
  examples: [
    "ocireg pull user/model:tag",
    'model="$(ocireg pull ghcr.io/org/model:v1)" && vllm serve "$model"',
    "ocireg pull --output ./model --exclude '*.gguf' registry.example:5000/org/model",
    "ocireg pull --layout hf-cache ghcr.io/org/name:v1",
  ],
  load: () => import("./commands/pull.ts"),
});

const push = command({
  brief: "Put a model into a registry and print its reference by digest",
  description:
    "Takes what belongs to a model: weights, configuration, code, licences, documents; not hidden files and other noise. The same files have the same digest on every machine.",
  arguments: [argument.model, argument.reference],
  flags: [flags("Flags", "format", "annotation"), connection, transfer],
  meanings: {
    format: "Format of the artifact: CNCF ModelPack, or Docker AI v0.2 or v0.1 (modelpack)",
  },
  examples: [
    "ocireg push ./model ghcr.io/org/model:v1",
    "ocireg push tiny-Q4_K_M.gguf 127.0.0.1:5000/tiny:q4 --format docker",
    "ocireg push ./model 127.0.0.1:5000/model --annotation org.opencontainers.image.licenses=MIT",
  ],
  load: () => import("./commands/push.ts"),
});

const attach = command({
  brief: "Attach files to what a reference names, and print the attachment's reference",
  description:
    "The files become an artifact that refers to REF's manifest: a signature, an SBOM, a report. REF stays as it is; 'ocireg referrers ls' lists what is attached.",
  arguments: [argument.reference, argument.attachments],
  flags: [flags("Flags", "artifactType", "mediaType", "annotation"), connection, transfer],
  meanings: {
    artifactType:
      "What the attachment is, for who looks for it: application/spdx+json; has to be given",
    mediaType: "Media type of the files; default: by their names",
  },
  examples: [
    "ocireg attach ghcr.io/org/model:v1 sbom.spdx.json --artifact-type application/spdx+json",
    "ocireg attach 127.0.0.1:5000/model@sha256:751bd21a… eval.json eval.txt --artifact-type application/vnd.example.report",
  ],
  load: () => import("./commands/attach.ts"),
});

const copy = command({
  brief: "Copy from registry to registry and print the copy's reference by digest",
  description:
    "Everything streams, byte for byte, and nothing touches the disk. What DST's registry has isn't moved again; between repositories of one registry blobs are mounted. An index comes with all its platforms. The tag comes last. With --format the manifest is written anew, and the weights stay the blobs that they are.",
  arguments: [argument.source, argument.target],
  flags: [flags("Flags", "referrers", "platform", "format"), connection, transfer],
  meanings: {
    format: "Convert the model to this format: CNCF ModelPack, or Docker AI v0.2 or v0.1",
    platform: "Copy of an index this platform's manifest alone; default: all, the whole index",
    username: "User for the registry of DST; SRC's comes from credentials files",
    password: "Password for the registry of DST",
  },
  examples: [
    "ocireg copy user/model:tag registry.example:5000/model:tag",
    "ocireg copy --referrers ghcr.io/org/model:v1 127.0.0.1:5000/org/model:v1",
    "ocireg copy --platform linux/arm64 docker.io/library/alpine 127.0.0.1:5000/alpine",
    "ocireg copy --format modelpack ai/smollm2 127.0.0.1:5000/smollm2",
  ],
  load: () => import("./commands/copy.ts"),
});

const resolve = command({
  brief: "Print what a reference means now, as JSON",
  description:
    'Prints {"reference","digest","path","format"}; "path" is where the model is in the cache. What is missing there is pulled; with --no-pull it isn\'t, and "path" is null.',
  arguments: [argument.reference],
  flags: [
    flags("Flags", "noPull", "platform", "offline"),
    flags("Cache", "cacheDir"),
    archives,
    connection,
    speed,
    transfer,
  ],
  meanings: { noPull: "Ask for the manifest only" },
  examples: [
    "ocireg resolve user/model:tag",
    "ocireg resolve --no-pull ghcr.io/org/model:v1 | jq -r .digest",
  ],
  load: () => import("./commands/resolve.ts"),
});

const inspect = command({
  brief: "Show what a reference holds: files, format, facts about the model, referrers",
  description:
    "Reads manifests and the beginnings of files, by ranged requests: less than a megabyte. Shows architecture, parameters, quantization, context length, licences, and what refers to it: signatures, attestations, SBOMs.",
  arguments: [argument.reference],
  flags: [flags("Flags", "json", "platform"), connection, messages],
  examples: [
    "ocireg inspect user/model:tag",
    "ocireg inspect --json user/model:tag | jq '.files[].path'",
  ],
  load: () => import("./commands/inspect.ts"),
});

const login = command({
  brief: "Check a user and password at a registry, and keep them",
  description:
    "Keeps them where docker and podman find them too: in the file that REGISTRY_AUTH_FILE names, else in docker's config.json, or with the credential helper that this file names. On a terminal it asks for what isn't given.",
  arguments: [argument.registry],
  flags: [connection, messages],
  meanings: { username: "Who logs in", password: "Password of --username" },
  aliases: { u: "username" },
  examples: [
    "ocireg login ghcr.io -u alice",
    "ocireg login registry.example:5000 -u alice --password-stdin < password.txt",
  ],
  load: () => import("./commands/login.ts"),
});

const logout = command({
  brief: "Forget the user and password of a registry",
  arguments: [argument.registry],
  flags: [messages],
  examples: ["ocireg logout ghcr.io"],
  load: () => import("./commands/logout.ts"),
});

const auth = group("Look into credentials", {
  check: command({
    brief: "Show which credentials a reference gets, and ask its registry",
    description:
      "Lists the places where credentials are sought, in order, up to the one that has them; never a secret. The exit code is that of a pull: 4 when the registry refuses.",
    arguments: [argument.referenceToCheck],
    flags: [flags("Flags", "json"), connection, messages],
    examples: ["ocireg auth check ghcr.io/org/model:v1"],
    load: () => import("./commands/auth-check.ts"),
  }),
});

const manifest = group("Read and write manifests", {
  get: command({
    brief: "Write the exact bytes of a manifest",
    arguments: [argument.reference],
    flags: [flags("Flags", "output"), connection, messages],
    meanings: { output: "Write to this file instead of standard output" },
    aliases: { o: "output" },
    examples: ["ocireg manifest get user/model:tag | jq .layers"],
    load: () => import("./commands/manifest-get.ts"),
  }),
  head: command({
    brief: "Print digest, media type and size of a manifest",
    arguments: [argument.reference],
    flags: [flags("Flags", "json"), connection, messages],
    meanings: { json: "Print the descriptor as JSON" },
    examples: ["ocireg manifest head ghcr.io/org/model:v1"],
    load: () => import("./commands/manifest-head.ts"),
  }),
  put: command({
    brief: "Store the bytes of a file as a manifest",
    arguments: [argument.reference, argument.manifestFile],
    flags: [flags("Flags", "mediaType"), connection, messages],
    meanings: { mediaType: "Media type of the manifest; default: what it says itself" },
    examples: [
      "ocireg manifest put 127.0.0.1:5000/model:v2 manifest.json",
      "ocireg manifest get user/model:v1 | ocireg manifest put 127.0.0.1:5000/model:v1 -",
    ],
    load: () => import("./commands/manifest-put.ts"),
  }),
  delete: command({
    brief: "Delete a tag, or a manifest by digest",
    arguments: [argument.exactReference],
    flags: [connection, messages],
    examples: ["ocireg manifest delete 127.0.0.1:5000/model:old"],
    load: () => import("./commands/manifest-delete.ts"),
  }),
});

const blob = group("Read and write blobs", {
  get: command({
    brief: "Write the verified content of a blob",
    description:
      "A file appears only when its content has been verified. What goes to standard output is verified too, but by its end: the exit code says whether it may be trusted.",
    arguments: [argument.blobReference, argument.blobDigest],
    flags: [flags("Flags", "output"), connection, messages],
    meanings: { output: "Write to this file instead of standard output" },
    aliases: { o: "output" },
    examples: [
      "ocireg blob get ghcr.io/org/model@sha256:6c3c624b… -o config.json",
      "ocireg blob get ghcr.io/org/model sha256:6c3c624b… | jq .",
    ],
    load: () => import("./commands/blob-get.ts"),
  }),
  head: command({
    brief: "Print digest and size of a blob",
    arguments: [argument.blobReference, argument.blobDigest],
    flags: [flags("Flags", "json"), connection, messages],
    examples: ["ocireg blob head ghcr.io/org/model@sha256:6c3c624b…"],
    load: () => import("./commands/blob-head.ts"),
  }),
  put: command({
    brief: "Store a file as a blob",
    arguments: [argument.repository, argument.file],
    flags: [connection, messages],
    examples: ["ocireg blob put 127.0.0.1:5000/model config.json"],
    load: () => import("./commands/blob-put.ts"),
  }),
  delete: command({
    brief: "Delete a blob from a repository",
    arguments: [argument.blobReference, argument.blobDigest],
    flags: [connection, messages],
    examples: ["ocireg blob delete 127.0.0.1:5000/model@sha256:6c3c624b…"],
    load: () => import("./commands/blob-delete.ts"),
  }),
});

const tags = group("List tags", {
  ls: command({
    brief: "List the tags of a repository, one a line",
    arguments: [argument.repository],
    flags: [connection, messages],
    examples: ["ocireg tags ls ghcr.io/org/model"],
    load: () => import("./commands/tags-ls.ts"),
  }),
});

const repos = group("List repositories", {
  ls: command({
    brief: "List the repositories of a registry, one a line",
    arguments: [argument.registry],
    flags: [connection, messages],
    examples: ["ocireg repos ls 127.0.0.1:5000"],
    load: () => import("./commands/repos-ls.ts"),
  }),
});

const referrers = group("List what refers to a manifest", {
  ls: command({
    brief: "List the referrers of a manifest: digest, artifact type and size, one a line",
    arguments: [argument.reference],
    flags: [flags("Flags", "artifactType", "json"), connection, messages],
    meanings: {
      artifactType: "List only referrers of this type",
      json: "Print each descriptor as JSON, one a line",
    },
    examples: ["ocireg referrers ls ghcr.io/org/model:v1 --artifact-type application/spdx+json"],
    load: () => import("./commands/referrers-ls.ts"),
  }),
});

const cache = group("Look into the local cache, and make room", {
  ls: command({
    brief: "List the models in the cache: size, digest, last use, state, reference",
    description:
      "The most recently used first. What several models share counts once in the total. A model is complete, partial (after --include or --exclude) or damaged.",
    arguments: [],
    flags: [flags("Flags", "json", "cacheDir"), messages],
    examples: ["ocireg cache ls", "ocireg cache ls --json | jq '.views[].digest'"],
    load: () => import("./commands/cache-ls.ts"),
  }),
  rm: command({
    brief: "Remove models from the cache",
    description:
      "Forgets the references, and removes the views that nothing names any more with the blobs that no other view uses. What a running pull needs stays; a process keeps the files that it has open.",
    arguments: [argument.cached],
    flags: [flags("Flags", "dryRun", "json", "cacheDir"), messages],
    examples: ["ocireg cache rm user/model:tag", "ocireg cache rm sha256:751bd21add63 --dry-run"],
    load: () => import("./commands/cache-rm.ts"),
  }),
  prune: command({
    brief: "Remove from the cache what isn't used any more",
    description:
      "Without flags: views that no reference names, blobs that no view uses and abandoned downloads, when they are older than an hour. --older-than takes the place of that hour, and is for models with a reference too.",
    arguments: [],
    flags: [flags("Flags", "olderThan", "keepSize", "dryRun", "json", "cacheDir"), messages],
    examples: [
      "ocireg cache prune",
      "ocireg cache prune --older-than 30d --keep-size 200GB",
      "ocireg cache prune --older-than 7d --dry-run",
    ],
    load: () => import("./commands/cache-prune.ts"),
  }),
  verify: command({
    brief: "Read the cache again and remove what is damaged",
    description:
      "Hashes every blob and every file of every view, or those of the models that are named. What is damaged is removed, so that the next pull fetches it again; the exit code is then 6.",
    arguments: [{ ...argument.cached, optional: true }],
    flags: [flags("Flags", "json", "cacheDir"), transfer],
    examples: ["ocireg cache verify", "ocireg cache verify user/model:tag --json"],
    load: () => import("./commands/cache-verify.ts"),
  }),
  path: command({
    brief: "Print the directory of the cache",
    arguments: [],
    flags: [flags("Flags", "cacheDir"), messages],
    examples: ["ocireg cache path"],
    load: () => import("./commands/cache-path.ts"),
  }),
});

const version = command({
  brief: "Print the version",
  arguments: [],
  flags: [],
  examples: ["ocireg version"],
  load: () => import("./commands/version.ts"),
});

const completion = command({
  brief: "Print a completion script for a shell",
  arguments: [argument.shell],
  flags: [],
  examples: [
    "source <(ocireg completion bash)",
    `ocireg completion zsh > "\${fpath[1]}/_ocireg"`,
    "ocireg completion fish > ~/.config/fish/completions/ocireg.fish",
  ],
  load: () => import("./commands/completion.ts"),
});

const help = command({
  brief: "Explain a command",
  arguments: [argument.commandName, argument.subcommandName],
  flags: [],
  examples: ["ocireg help pull", "ocireg help manifest put"],
  load: () => import("./commands/help.ts"),
});

export const root = group(
  "An OCI registry, and the fastest, safest way to get a model out of any registry",
  {
    serve,
    pull,
    push,
    attach,
    copy,
    resolve,
    inspect,
    login,
    logout,
    auth,
    manifest,
    blob,
    tags,
    repos,
    referrers,
    cache,
    completion,
    version,
    help,
  },
);

/** Without a prototype, so that `ocireg constructor` finds nothing. */
function group(
  brief: string,
  routes: Readonly<Record<string, Command<Context> | RouteMap<Context>>>,
): RouteMap<Context> {
  return buildRouteMap<string, Context>({
    routes: Object.assign(Object.create(null), routes),
    aliases: Object.create(null),
    docs: { brief },
  });
}
