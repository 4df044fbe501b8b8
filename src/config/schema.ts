/**
 * Every setting there is, once: what it is called, what it may be, what it is by default and what it
 * means. The flags, the environment variables, the keys of `ocireg.toml`, `ocireg help` and
 * docs/configuration.md all follow from here.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { type Address, formatAddress, parseAddress } from "../lib/address.ts";
import { formatByteSize, parseByteSize } from "../lib/byte-size.ts";
import { formatDuration, parseDuration } from "../lib/duration.ts";
import { formatMirrors, type Mirrors, parseMirrors } from "./mirrors.ts";

/** How a setting is written. `parse` answers undefined for a text that isn't acceptable. */
export interface Notation {
  readonly parse: (text: string) => unknown;
  /** Completes "want …". */
  readonly accepts: string;
  /** What stands for the value in help; none when the flag stands alone. */
  readonly placeholder?: string;
  /** The value needn't follow the flag: `--flag` means `--flag=true`. */
  readonly optionalValue?: boolean;
  readonly choices?: readonly string[];
  /** Writes a value as `parse` reads it; `String` when there is none. */
  readonly format?: (value: never) => string;
  /** Only text is acceptable in a file too: a bare number would have no unit. */
  readonly textOnly?: boolean;
}

/** What a setting's schema says beside its type. */
export interface SettingOptions {
  readonly description: string;
  readonly default?: unknown;
  readonly notation: Notation;
  /** False for what only makes sense for one call, or is a secret: not a key of `ocireg.toml`. */
  readonly inFile?: boolean;
  /** False for a secret, which a command line would show to every process on the machine. */
  readonly asFlag?: boolean;
}

export type SettingSchema = TSchema & SettingOptions;

const yes = new Set(["true", "yes", "on", "1"]);
const no = new Set(["false", "no", "off", "0"]);

function parseBoolean(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  return yes.has(lower) ? true : no.has(lower) ? false : undefined;
}

function parseList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

const textual = (placeholder: string): Notation => ({
  parse: (text) => (text === "" ? undefined : text),
  accepts: "a text that isn't empty",
  placeholder,
});

const path = (placeholder: string): Notation => ({ ...textual(placeholder), accepts: "a path" });

const boolean: Notation = { parse: parseBoolean, accepts: "true or false", optionalValue: true };

const duration: Notation = {
  parse: parseDuration,
  accepts: "a duration such as 30s or 5m",
  placeholder: "DURATION",
  format: formatDuration,
  textOnly: true,
};

const byteSize: Notation = {
  parse: parseByteSize,
  accepts: "a size such as 4MiB",
  placeholder: "SIZE",
  format: (bytes: number) => formatByteSize(bytes).replace(" ", ""),
};

const count: Notation = {
  parse: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined),
  accepts: "a number",
  placeholder: "N",
};

const choice = (...choices: string[]): Notation => ({
  parse: (text) => (choices.includes(text) ? text : undefined),
  accepts: `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`,
  placeholder: choices.join("|"),
  choices,
});

const list = (placeholder: string): Notation => ({
  parse: parseList,
  accepts: "a list, separated by commas",
  placeholder,
});

/** For which registries something holds: all, none, or those listed. */
const registries: Notation = {
  parse: (text) => parseBoolean(text) ?? parseList(text),
  accepts: "true, false, or a list of HOST[:PORT], separated by commas",
  placeholder: "HOST,…",
  optionalValue: true,
};

const Registries = (options: SettingOptions) =>
  Type.Union([Type.Boolean(), Type.Array(Type.String({ minLength: 1 }))], { ...options });

const Flag = (description: string, options?: Partial<SettingOptions>) =>
  Type.Boolean({ description, default: false, notation: boolean, ...options });

const Words = (placeholder: string, description: string) =>
  Type.Array(Type.String({ minLength: 1 }), {
    description,
    default: [],
    notation: list(placeholder),
    inFile: false,
  });

/** 24 days: a timer that is set to more than 2^31 milliseconds goes off at once. */
const longestTimer = 24 * 24 * 60 * 60 * 1000;

const Milliseconds = (description: string, byDefault: number) =>
  Type.Integer({
    description,
    default: byDefault,
    minimum: 0,
    maximum: longestTimer,
    notation: duration,
  });

const Optional = (notation: Notation, description: string, options?: Partial<SettingOptions>) =>
  Type.Optional(Type.String({ description, notation, ...options }));

export const Settings = Type.Object({
  // What is served, and where.
  root: Type.String({
    description: "Directory that holds everything the registry stores",
    default: "./data",
    notation: path("DIR"),
  }),
  addr: Type.Unsafe<Address>(
    Type.Object(
      { host: Type.String(), port: Type.Integer() },
      {
        description: "Address to listen on; :PORT is every interface, port 0 any free one",
        default: { host: "127.0.0.1", port: 5000 },
        notation: {
          parse: parseAddress,
          accepts: "HOST:PORT, [IPV6]:PORT or :PORT",
          format: formatAddress,
          placeholder: "HOST:PORT",
        },
      },
    ),
  ),
  readOnly: Flag("Refuse everything that would change what is stored"),
  noDelete: Flag("Refuse to delete manifests, tags and blobs"),
  sparse: Type.Union([Type.Literal("none"), Type.Literal("index"), Type.Literal("image")], {
    description: "Which manifests may name content that isn't here: none, indexes, or images too",
    default: "index",
    notation: choice("none", "index", "image"),
  }),
  htpasswd: Optional(path("FILE"), "Ask for a user and password of this file (bcrypt)"),
  tlsCert: Optional(path("FILE"), "Serve HTTPS with this certificate chain (PEM)"),
  tlsKey: Optional(path("FILE"), "The private key of --tls-cert (PEM)"),
  maxManifestSize: Type.Integer({
    description: "Largest manifest that is accepted",
    default: 4 * 1024 * 1024,
    minimum: 1024,
    maximum: 256 * 1024 * 1024,
    notation: byteSize,
  }),
  drainTimeout: Milliseconds("How long transfers may go on after SIGTERM or SIGINT", 25_000),

  // How other registries are reached.
  plainHttp: Registries({
    description:
      "Speak plain HTTP to these registries, or to all (loopback's default, without --ca)",
    default: false,
    notation: registries,
  }),
  insecureSkipTlsVerify: Registries({
    description: "Don't verify the certificates of these registries, or of all",
    default: false,
    notation: registries,
  }),
  ca: Optional(path("FILE"), "Trust these certificate authorities too (PEM)"),
  cert: Optional(path("FILE"), "Show this certificate to the registry of the reference (PEM)"),
  key: Optional(path("FILE"), "The private key of --cert (PEM); default: in its file"),
  hostsDir: Optional(path("DIR"), "Read DIR/HOST/hosts.toml and certificates (as in certs.d)"),
  mirrors: Type.Optional(
    Type.Unsafe<Mirrors>(
      Type.Record(Type.String(), Type.Array(Type.String()), {
        description: "Get content of these registries by digest from their mirrors first",
        notation: {
          parse: parseMirrors,
          accepts: "HOST=URL[,URL…][;HOST=URL…]",
          format: formatMirrors,
          placeholder: "HOST=URL,…",
          textOnly: true,
        },
      }),
    ),
  ),
  username: Optional(textual("USER"), "User for the registry of the reference", { inFile: false }),
  password: Optional(textual("PASSWORD"), "Password for the registry of the reference", {
    inFile: false,
    asFlag: false,
  }),
  passwordStdin: Flag("Read the password from standard input", { inFile: false }),
  connectTimeout: Milliseconds("Give up on a host that can't be reached after this", 30_000),
  stallTimeout: Milliseconds("Give up when nothing moves for this long", 300_000),
  maxConnections: Type.Integer({
    description: "Connections that a pull opens at most; it opens as many as the link rewards",
    default: 32,
    minimum: 1,
    maximum: 256,
    notation: count,
  }),
  limitRate: Type.Optional(
    Type.Integer({
      description: "Receive at most this much a second, over all connections",
      minimum: 1024,
      maximum: 2 ** 40,
      notation: byteSize,
    }),
  ),

  // The cache and what is taken from a reference.
  cacheDir: Optional(path("DIR"), "Where pulled models are kept; see 'ocireg cache path'"),
  output: Optional(path("PATH"), "Write here instead", { inFile: false }),
  include: Words(
    "GLOB",
    "Take only files that match, by name, path or media type; may be repeated",
  ),
  exclude: Words(
    "GLOB",
    "Leave out files that match, by name, path or media type; may be repeated",
  ),
  layout: Type.Union([Type.Literal("flat"), Type.Literal("hf-cache")], {
    description: "Layout of what is pulled: a directory of files, or Hugging Face's cache",
    default: "flat",
    notation: choice("flat", "hf-cache"),
    inFile: false,
  }),
  platform: Optional(textual("OS/ARCH"), "Platform to take from an index; default: this machine's"),
  referrers: Flag("Copy what refers to it too: signatures, SBOMs, and what refers to those", {
    inFile: false,
  }),
  offline: Flag("Use only what is in the cache"),
  verify: Flag("Read what is in the cache again and check its digests"),
  maxUnpackedSize: Type.Integer({
    description: "Bytes that the archives of a model may unpack to, at most",
    default: 2 * 1024 ** 4,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    notation: byteSize,
  }),
  maxArchiveEntries: Type.Integer({
    description: "Entries that the archives of a model may have, at most",
    default: 100_000,
    minimum: 1,
    maximum: 100_000_000,
    notation: count,
  }),
  maxArchiveRatio: Type.Integer({
    description: "How many times larger a compressed archive may become; 256 MiB are always fine",
    default: 100,
    minimum: 1,
    maximum: 1_000_000,
    notation: count,
  }),
  maxArchiveHeader: Type.Integer({
    description: "Bytes of one entry's names and attributes in an archive, at most",
    default: 1024 ** 2,
    minimum: 1024,
    maximum: 8 * 1024 ** 2,
    notation: byteSize,
  }),
  maxZstdWindow: Type.Integer({
    description: "Memory that decompressing zstd may take, at most",
    default: 128 * 1024 ** 2,
    minimum: 1024 ** 2,
    maximum: 2 * 1024 ** 3,
    notation: byteSize,
  }),
  olderThan: Type.Optional(
    Type.Integer({
      description: "Remove also what wasn't pulled for this long",
      minimum: 0,
      notation: duration,
      inFile: false,
    }),
  ),
  keepSize: Type.Optional(
    Type.Integer({
      description: "Remove the least recently used models until the cache has no more than this",
      minimum: 0,
      notation: byteSize,
      inFile: false,
    }),
  ),
  dryRun: Flag("Only tell what would be removed", { inFile: false }),
  noPull: Flag("Don't look further than the manifest", { inFile: false }),
  format: Type.Optional(
    Type.Union([Type.Literal("modelpack"), Type.Literal("docker"), Type.Literal("docker-v0.1")], {
      description: "Format to write: of push (modelpack by default), or for copy to convert to",
      notation: choice("modelpack", "docker", "docker-v0.1"),
      inFile: false,
    }),
  ),
  annotation: Words("KEY=VALUE", "Annotation of the manifest; may be repeated"),
  mediaType: Optional(
    textual("TYPE"),
    "Media type of a manifest, or of attached files; default: by themselves",
    {
      inFile: false,
    },
  ),
  artifactType: Optional(textual("TYPE"), "Type of the referrers to list, or of what is attached", {
    inFile: false,
  }),

  // What is shown.
  json: Flag("Print the result as JSON", { inFile: false }),
  progress: Type.Union(
    [
      Type.Literal("auto"),
      Type.Literal("tty"),
      Type.Literal("plain"),
      Type.Literal("json"),
      Type.Literal("none"),
    ],
    {
      description: "How progress is shown on stderr",
      default: "auto",
      notation: choice("auto", "tty", "plain", "json", "none"),
    },
  ),
  logLevel: Type.Union(
    [Type.Literal("debug"), Type.Literal("info"), Type.Literal("warning"), Type.Literal("error")],
    {
      description: "What is logged on stderr; debug adds stack traces to errors",
      default: "info",
      notation: choice("debug", "info", "warning", "error"),
    },
  ),
  logFormat: Type.Union([Type.Literal("text"), Type.Literal("json")], {
    description: "Form of the log lines",
    default: "text",
    notation: choice("text", "json"),
  }),
  config: Optional(path("FILE"), "Read settings from this TOML file", { inFile: false }),
});
export type Settings = Static<typeof Settings>;
export type SettingName = keyof Settings;

export const settingNames = Object.keys(Settings.properties) as SettingName[];

/** The schema of one setting, with what it says about notation and defaults. */
export function settingSchema(name: SettingName): SettingSchema {
  return Settings.properties[name] as unknown as SettingSchema;
}

/** `drainTimeout` -> `drain-timeout`: the flag without its dashes, and the key in `ocireg.toml`. */
export function flagName(name: SettingName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `drainTimeout` -> `OCIREG_DRAIN_TIMEOUT`. */
export function variableName(name: SettingName): string {
  return `OCIREG_${flagName(name).replaceAll("-", "_").toUpperCase()}`;
}

/** A value of a setting as a person would write it. */
export function formatSetting(name: SettingName, value: unknown): string {
  const { format } = settingSchema(name).notation;
  return format ? format(value as never) : String(value);
}

/** `--addr HOST:PORT`, `--plain-http[=HOST,…]`, `--json`: how the flag is written. */
export function describeFlag(name: SettingName): string {
  const { placeholder, optionalValue } = settingSchema(name).notation;
  if (!placeholder) return `--${flagName(name)}`;
  return `--${flagName(name)}${optionalValue ? `[=${placeholder}]` : ` ${placeholder}`}`;
}

/** The default, where there is one worth showing. */
export function describeDefault(name: SettingName): string | undefined {
  const value = settingSchema(name).default;
  return value === undefined || value === false || Array.isArray(value)
    ? undefined
    : formatSetting(name, value);
}
