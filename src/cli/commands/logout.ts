import { RegistryClient } from "../../registry/client.ts";
import { eraseLogin } from "../../registry/credentials/login.ts";
import type { Context } from "../context.ts";

export default async function logout(
  this: Context,
  _settings: object,
  registry: string,
): Promise<void> {
  const { file, program, removed } = await eraseLogin(registry, { env: this.env });
  const path = JSON.stringify(file);
  const where = program ? `${JSON.stringify(program)}, which ${path} names` : path;
  const done = removed ? "forgot the credentials" : "there were no credentials";
  this.stderr.write(`ocireg: ${done} of ${registry} in ${where}\n`);
  const { source } = await new RegistryClient({ env: this.env }).findCredential(registry);
  if (source !== undefined) {
    this.stderr.write(`ocireg: ${source} still has credentials for ${registry}\n`);
  }
}
