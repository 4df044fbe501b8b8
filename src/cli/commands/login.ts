import { Failure } from "../../lib/failure.ts";
import { RegistryClient } from "../../registry/client.ts";
import { storeLogin } from "../../registry/credentials/login.ts";
import { type ConnectionSettings, givenPassword, openClient } from "../client.ts";
import type { Context } from "../context.ts";

export default async function login(
  this: Context,
  settings: ConnectionSettings,
  registry: string,
): Promise<void> {
  const user = await whoLogsIn(this, settings, registry);
  const client = await openClient(this, { ...settings, ...user, passwordStdin: false }, registry);
  const { isAccepted } = await client.checkLogin(registry, this.signal);
  const { file, program } = await storeLogin(registry, user, { env: this.env });

  const path = JSON.stringify(file);
  const where = program ? `with ${JSON.stringify(program)}, which ${path} names` : `in ${path}`;
  this.stderr.write(`ocireg: logged in to ${registry} as ${user.username}; kept ${where}\n`);
  if (!isAccepted) {
    this.stderr.write(`ocireg: ${registry} didn't ask for the password, which may be wrong\n`);
  }
  // Without what was given, as the commands that come after this one.
  const { source } = await new RegistryClient({ env: this.env }).findCredential(registry);
  if (source !== undefined && !source.includes(path)) {
    this.stderr.write(`ocireg: ${source} has credentials for ${registry} too, and comes first\n`);
  }
}

async function whoLogsIn(
  context: Context,
  settings: ConnectionSettings,
  registry: string,
): Promise<{ username: string; password: string }> {
  const terminal = context.terminal();
  const { signal } = context;
  const username =
    settings.username ?? (await terminal?.ask(`User of ${registry}: `, false, signal));
  if (!username) throw new Failure("usage", "who logs in? Give --username USER");
  const given = await givenPassword(context, settings);
  const password = given ?? (await terminal?.ask(`Password of ${username}: `, true, signal));
  if (!password) {
    const ways = "give --password-stdin, or set OCIREG_PASSWORD";
    throw new Failure("usage", `there is no password for ${username}: ${ways}`);
  }
  return { username, password };
}
