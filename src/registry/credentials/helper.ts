/**
 * The programs that keep credentials for docker, `docker-credential-NAME`: docker's "Credential
 * helper protocol". They get a registry's name, or a credential, on stdin, and answer in JSON.
 */
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { untilAborted } from "../../lib/abort.ts";
import { Failure } from "../../lib/failure.ts";
import { printable } from "../errors.ts";
import { type Credential, credentialOf, type Environment, serverName } from "./credential.ts";

export interface HelperOptions {
  readonly env: Environment;
  /** Milliseconds that the program may take: it may wait for a locked keychain. @default 30_000 */
  readonly timeout?: number | undefined;
}

const TIMEOUT = 30_000;
/** An identity of a cloud takes a few thousand characters. */
const MAX_OUTPUT = 256 * 1024;
const MAX_COMPLAINT = 200;

const Answer = Type.Object({ Username: Type.String(), Secret: Type.String() });

/** How helpers say that they have nothing, on stdout or stderr. */
const NOTHING = /credentials not found|no credentials server url|no credentials username/i;

/** A name becomes a part of a program's: it must not lead out of PATH's directories. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** `docker-credential-desktop` */
export function helperProgram(name: string): string {
  return `docker-credential-${name}`;
}

/**
 * What the helper keeps for `registry`.
 *
 * @throws {Failure} `unauthorized`: it isn't there, fails, takes too long, or answers with something
 *   else. The message quotes nothing of its stdout.
 */
export async function askHelper(
  name: string,
  registry: string,
  options: HelperOptions,
): Promise<Credential | undefined> {
  const { code, stdout, stderr } = await run(name, "get", serverName(registry), options);
  if (code !== 0) {
    if (NOTHING.test(stdout) || NOTHING.test(stderr)) return undefined;
    throw failed(name, code, stderr);
  }
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch {
    // The next check says what is wrong with it.
  }
  if (!Value.Check(Answer, json)) {
    throw failure(name, "answered with something else than a user name and a secret");
  }
  return credentialOf(json.Username, json.Secret);
}

/** Gives the helper a password to keep. @throws {Failure} `unauthorized`, as {@link askHelper} */
export async function storeWithHelper(
  name: string,
  registry: string,
  { username, password }: { readonly username: string; readonly password: string },
  options: HelperOptions,
): Promise<void> {
  const input = { ServerURL: serverName(registry), Username: username, Secret: password };
  const { code, stderr } = await run(name, "store", JSON.stringify(input), options);
  if (code !== 0) throw failed(name, code, stderr);
}

/**
 * Makes the helper forget a registry; false when it had nothing.
 *
 * @throws {Failure} `unauthorized`, as {@link askHelper}
 */
export async function eraseWithHelper(
  name: string,
  registry: string,
  options: HelperOptions,
): Promise<boolean> {
  // To erase what isn't there is a success to some, and to others a failure.
  if ((await askHelper(name, registry, options)) === undefined) return false;
  const { code, stderr } = await run(name, "erase", serverName(registry), options);
  if (code !== 0) throw failed(name, code, stderr);
  return true;
}

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  name: string,
  action: "get" | "store" | "erase",
  input: string,
  { env, timeout = TIMEOUT }: HelperOptions,
): Promise<Run> {
  if (!NAME.test(name)) throw failure(name, "isn't the name of a program");
  const path = Bun.which(helperProgram(name), { PATH: env["PATH"] ?? "" });
  if (path === null) {
    throw failure(name, "isn't on PATH: install it, or remove its name from where it stands");
  }
  let child: Bun.Subprocess<Uint8Array, "pipe", "pipe">;
  try {
    child = Bun.spawn([path, action], {
      env,
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw failure(name, `can't be run: ${code ?? "it isn't a program"}`, cause);
  }
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const ended = Promise.all([
      readText(child.stdout, stop.signal),
      readText(child.stderr, stop.signal),
      child.exited,
    ]);
    const [stdout, stderr, code] = await untilAborted(ended, stop.signal);
    return { code, stdout, stderr };
  } catch (cause) {
    if (!stop.signal.aborted) throw failure(name, "answered with too much", cause);
    throw failure(name, `didn't answer within ${timeout / 1000} s`);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
    // A program that it left behind may hold its streams open.
    stop.abort();
  }
}

/** @throws when there is more than the limit; once the signal aborts, no more is read */
async function readText(stream: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<string> {
  const reader = stream.getReader();
  const leave = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", leave, { once: true });
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_OUTPUT) throw new Error("more output than allowed");
  }
}

function failed(name: string, code: number, stderr: string): Failure {
  const said = printable(stderr, MAX_COMPLAINT);
  return failure(name, `failed with code ${code}${said && `: ${said}`}`);
}

function failure(name: string, what: string, cause?: unknown): Failure {
  const program = JSON.stringify(printable(helperProgram(name), MAX_COMPLAINT));
  return new Failure("unauthorized", `the credential helper ${program} ${what}`, { cause });
}
