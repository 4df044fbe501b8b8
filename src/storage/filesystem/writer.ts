import { open, readFile, rename, rm } from "node:fs/promises";
import { errorCode } from "../../lib/durable.ts";

/** Who is writing an upload session, over all processes: a name in the session's file `writer`. */
export class Writer {
  /** This process, among all that have the root open. */
  private readonly self: string = crypto.randomUUID();

  /** Puts this process's name there; returns another's that it replaced. */
  async claim(directory: string): Promise<string | undefined> {
    const path = `${directory}/writer`;
    try {
      const handle = await open(path, "wx");
      try {
        await handle.writeFile(this.self);
      } finally {
        await handle.close();
      }
      return undefined;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
    const former = await readFile(path, "utf8").catch(() => "");
    if (former === this.self) return undefined;
    const mine = `${directory}/${crypto.randomUUID()}`;
    await Bun.write(mine, this.self);
    await rename(mine, path);
    return former;
  }

  async holds(directory: string): Promise<boolean> {
    return (await readFile(`${directory}/writer`, "utf8").catch(() => "")) === this.self;
  }

  async release(directory: string): Promise<void> {
    if (await this.holds(directory)) await rm(`${directory}/writer`, { force: true });
  }
}
