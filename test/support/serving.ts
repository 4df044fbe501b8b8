/** `ocireg serve` of the compiled executable, in a process of its own. */
import { join } from "node:path";
import { compiledBinary } from "./binary.ts";
import { type RunningProgram, runChecked, startProgram } from "./programs.ts";
import { temporaryDirectory } from "./temp.ts";

export interface Serving extends RunningProgram {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly url: string;
  /** Its data directory. */
  readonly root: string;
}

/** Starts it on a free port over a data directory, by default a temporary one. */
export async function startServing(
  root = temporaryDirectory(),
  ...flags: string[]
): Promise<Serving> {
  const program = await startProgram(
    [await compiledBinary(), "serve", "--addr", "127.0.0.1:0", "--root", root, ...flags],
    /serving .* on (https?:\/\/127\.0\.0\.1:\d+)/,
  );
  return { ...program, url: program.ready, host: new URL(program.ready).host, root };
}

export interface Protection {
  readonly username: string;
  readonly password: string;
  /** The certificate authority to trust, a PEM file. */
  readonly ca: string;
  /** What `serve` has to be started with. */
  readonly flags: string[];
}

/** A password file and a certificate for 127.0.0.1 (made by openssl). */
export async function makeProtection(): Promise<Protection> {
  const directory = temporaryDirectory();
  const path = (name: string) => join(directory, name);
  const [username, password] = ["alice", "correct horse battery staple"];
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  // htpasswd(1) writes $2y$, which is the same.
  await Bun.write(path("htpasswd"), `${username}:${hash.replace("$2b$", "$2y$")}\n`);
  await runChecked([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", path("key.pem"), "-out", path("ca.crt")],
  ]);
  return {
    username,
    password,
    ca: path("ca.crt"),
    flags: [
      ...["--htpasswd", path("htpasswd")],
      ...["--tls-cert", path("ca.crt"), "--tls-key", path("key.pem")],
    ],
  };
}
