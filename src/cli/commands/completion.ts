import { completionScripts, type Shell } from "../completion-scripts.ts";
import type { Context } from "../context.ts";

export default async function completion(
  this: Context,
  _settings: object,
  shell: Shell,
): Promise<void> {
  await this.stdout.write(completionScripts[shell]);
}
