/** Basic authentication from an htpasswd file with bcrypt hashes (`htpasswd -B`). */
import { readFile, stat } from "node:fs/promises";
import { Failure } from "../lib/failure.ts";
import { LruCache } from "../lib/lru.ts";

/** A verdict costs about 0.1 s of a core, so it is kept: by a keyed hash, never the password. */
const maxVerdicts = 1024;
/** Passwords checked at the same time; more wait, so that guessing can't take all cores. */
const maxChecks = 2;
/** bcrypt ignores what follows. */
const maxPasswordLength = 72;
/** Milliseconds between looks at whether the file has changed. */
const recheck = 1000;

export class Htpasswd {
  private hashes = new Map<string, string>();
  private modified = -1;
  private checked = 0;
  private readonly verdicts = new LruCache<string, boolean>(maxVerdicts, () => 1);
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

  /** The user whom the header proves, or undefined. */
  async authenticate(authorization: string | null): Promise<string | undefined> {
    const credentials = parseBasic(authorization);
    if (!credentials) return undefined;
    // A file that is broken at the moment leaves the users as they were.
    if (Date.now() - this.checked > recheck) await this.load().catch(() => {});
    const { user, password } = credentials;
    const hash = this.hashes.get(user) ?? unknownUser;
    const key = new Bun.CryptoHasher("sha256", this.secret)
      .update(`${hash}\0${user}\0${password}`)
      .digest("hex");
    let verdict = this.verdicts.get(key);
    if (verdict === undefined) {
      verdict = await this.verify(password, hash);
      this.verdicts.set(key, verdict);
    }
    return verdict && this.hashes.has(user) ? user : undefined;
  }

  private async verify(password: string, hash: string): Promise<boolean> {
    if (this.running >= maxChecks) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    this.running += 1;
    try {
      return await Bun.password.verify(password, hash);
    } catch {
      return false;
    } finally {
      this.running -= 1;
      this.waiting.shift()?.();
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

/** Checked for users who don't exist, so that they take as long as those who do. */
const unknownUser = "$2b$10$abcdefghijklmnopqrstuuWc3ZyRKHlYDN1cFPbmnWYCwBFWL2mZa";

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
