/** Basic authentication from an htpasswd file with bcrypt hashes (`htpasswd -B`). */
import { readFile, stat } from "node:fs/promises";
import { Failure } from "../lib/failure.ts";
import { LruCache } from "../lib/lru.ts";
import { RequestError } from "./errors.ts";

/** A verdict costs about 0.1 s of a core, so it is kept: by a keyed hash, never the password. */
const maxVerdicts = 1024;
/** Passwords checked at the same time; more wait, so that guessing can't take all cores. */
const maxChecks = 2;
/** Passwords that wait to be checked; more are told to come again. */
const maxWaiting = 100;
/** bcrypt ignores what follows. */
const maxPasswordLength = 72;
/** Milliseconds between looks at whether the file has changed. */
const recheck = 1000;

export class Htpasswd {
  private hashes = new Map<string, string>();
  private modified = -1;
  private checked = 0;
  /** Apart, so that guesses don't push out those who know their password. */
  private readonly right = new LruCache<string, true>(maxVerdicts, () => 1);
  private readonly wrong = new LruCache<string, true>(maxVerdicts, () => 1);
  /** Verdicts to come: a client that opens many connections asks once. */
  private readonly checks = new Map<string, Promise<boolean>>();
  private readonly secret = crypto.getRandomValues(new Uint8Array(32));
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  private constructor(private readonly path: string) {}

  /** @throws {Failure} `usage` when the file can't be read or has another kind of line */
  static async open(path: string): Promise<Htpasswd> {
    const htpasswd = new Htpasswd(path);
    await htpasswd.load();
    return htpasswd;
  }

  /**
   * The user whom the header proves, or undefined.
   *
   * @throws {RequestError} 429 when too many passwords wait to be checked
   */
  async authenticate(authorization: string | null): Promise<string | undefined> {
    const credentials = parseBasic(authorization);
    if (!credentials) return undefined;
    // A file that is broken at the moment leaves the users as they were.
    if (Date.now() - this.checked > recheck) await this.load().catch(() => {});
    const { user, password } = credentials;
    // A user who doesn't exist is checked against another's hash: that takes as long.
    const [anyHash = ""] = this.hashes.values();
    const hash = this.hashes.get(user) ?? anyHash;
    const key = new Bun.CryptoHasher("sha256", this.secret)
      .update(`${hash}\0${user}\0${password}`)
      .digest("hex");
    const isRight = await this.verdict(key, password, hash);
    return isRight && this.hashes.has(user) ? user : undefined;
  }

  private async verdict(key: string, password: string, hash: string): Promise<boolean> {
    if (this.right.get(key)) return true;
    if (this.wrong.get(key)) return false;
    let check = this.checks.get(key);
    if (!check) {
      check = this.verify(password, hash).finally(() => this.checks.delete(key));
      this.checks.set(key, check);
    }
    const isRight = await check;
    (isRight ? this.right : this.wrong).set(key, true);
    return isRight;
  }

  private async verify(password: string, hash: string): Promise<boolean> {
    if (this.running < maxChecks) {
      this.running += 1;
    } else {
      if (this.waiting.length >= maxWaiting) {
        throw new RequestError(429, "TOOMANYREQUESTS", "too many passwords wait to be checked", {
          "retry-after": "5",
        });
      }
      // Whoever ends hands its turn over.
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    try {
      return await Bun.password.verify(password, hash);
    } catch {
      return false;
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running -= 1;
    }
  }

  private async load(): Promise<void> {
    this.checked = Date.now();
    let text: string;
    try {
      const { mtimeMs } = await stat(this.path);
      if (mtimeMs === this.modified) return;
      text = await readFile(this.path, "utf8");
      this.modified = mtimeMs;
    } catch (error) {
      throw new Failure(
        "usage",
        `can't read the htpasswd file ${JSON.stringify(this.path)}: ${error instanceof Error ? error.message : error}`,
        { cause: error },
      );
    }
    this.hashes = parseHtpasswd(text, this.path);
  }
}

function parseHtpasswd(text: string, path: string): Map<string, string> {
  const hashes = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const hash = line.slice(colon + 1);
    if (colon < 1 || !/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
      throw new Failure(
        "usage",
        `line ${index + 1} of the htpasswd file ${JSON.stringify(path)} isn't user:bcrypt-hash; make it with htpasswd -B`,
      );
    }
    // $2y$ is Apache's name for what is called $2b$ elsewhere.
    hashes.set(line.slice(0, colon), hash.replace(/^\$2y\$/, "$2b$"));
  }
  return hashes;
}

/** RFC 7617. */
function parseBasic(header: string | null): { user: string; password: string } | undefined {
  const match = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(header ?? "");
  if (!match?.[1]) return undefined;
  const text = Buffer.from(match[1], "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0 || Buffer.byteLength(text) - colon - 1 > maxPasswordLength) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
