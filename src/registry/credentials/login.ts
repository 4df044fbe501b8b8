/**
 * Keeping credentials where docker and podman find them too: in the file that REGISTRY_AUTH_FILE
 * names, else in docker's own, or with the helper that this file names.
 */
import { chown, mkdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, writeFileDurably } from "../../lib/durable.ts";
import { Failure } from "../../lib/failure.ts";
import { type AuthFile, findHelper, normalizeKey, parseAuthFile } from "./auth-file.ts";
import { type Environment, serverName } from "./credential.ts";
import { dockerConfigPath } from "./files.ts";
import { eraseWithHelper, type HelperOptions, helperProgram, storeWithHelper } from "./helper.ts";

/** Where credentials are kept. */
export interface Keeper {
  /** The path of the file. */
  readonly file: string;
  /** `docker-credential-desktop`: the program that has the secret in place of the file. */
  readonly program?: string;
}

/** What a file says, with all that we don't know of. */
type Content = AuthFile & Record<string, unknown>;

/**
 * Keeps a user name and a password for a registry, in place of what was kept for it.
 *
 * @throws {Failure} `usage`: the file can't be read; `unauthorized`: the helper fails; and what the
 *   file system throws
 */
export async function storeLogin(
  registry: string,
  login: { readonly username: string; readonly password: string },
  options: HelperOptions,
): Promise<Keeper> {
  const file = loginFilePath(options.env);
  const content = await read(file);
  const helper = findHelper(content, registry);
  if (helper) await storeWithHelper(helper, registry, login, options);
  const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  // An empty entry shows docker that its helper has something.
  const entry = helper ? {} : { auth };
  await write(file, { ...content, auths: { ...content.auths, [serverName(registry)]: entry } });
  return { file, ...(helper && { program: helperProgram(helper) }) };
}

/**
 * Forgets what is kept for a registry; its namespaces keep what they have. `removed` is false when
 * there was nothing.
 *
 * @throws as {@link storeLogin}
 */
export async function eraseLogin(
  registry: string,
  options: HelperOptions,
): Promise<Keeper & { removed: boolean }> {
  const file = loginFilePath(options.env);
  const content = await read(file);
  const helper = findHelper(content, registry);
  const wasKept = helper !== undefined && (await eraseWithHelper(helper, registry, options));
  const entries = Object.entries(content.auths ?? {});
  const left = entries.filter(([key]) => normalizeKey(key) !== registry);
  const isListed = left.length < entries.length;
  if (isListed) await write(file, { ...content, auths: Object.fromEntries(left) });
  return { file, removed: wasKept || isListed, ...(helper && { program: helperProgram(helper) }) };
}

/** The file that logins go to. */
function loginFilePath(env: Environment): string {
  return env["REGISTRY_AUTH_FILE"] || dockerConfigPath(env);
}

async function read(path: string): Promise<Content> {
  try {
    return parseAuthFile(await readFile(path, "utf8"), JSON.stringify(path)) as Content;
  } catch (error) {
    if (isMissing(error)) return {};
    if (error instanceof Failure) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure("usage", `can't read the credentials in ${JSON.stringify(path)}: ${code}`, {
      cause: error,
    });
  }
}

/** Replaces the file, or what a link of this name leads to, in one step. For its owner alone. */
async function write(path: string, content: Content): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const target = await realpath(path).catch(() => path);
  const former = await stat(target).catch(() => undefined);
  const text = `${JSON.stringify(content, null, "\t")}\n`;
  await writeFileDurably(target, text, `${target}.${crypto.randomUUID()}`, 0o600);
  // With sudo, it stays the file of whoever it belongs to.
  if (former && process.getuid?.() === 0) await chown(target, former.uid, former.gid);
}
