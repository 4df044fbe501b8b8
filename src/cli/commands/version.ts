import type { Context } from "../context.ts";
import { describeVersion } from "../version.ts";

export default async function version(this: Context): Promise<void> {
  await this.stdout.line(describeVersion());
}
