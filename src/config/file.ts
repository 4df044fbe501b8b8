/** The settings file, `ocireg.toml`. */
import { readFileSync, statSync } from "node:fs";
import { Failure } from "../lib/failure.ts";
import { oneLine } from "../lib/one-line.ts";
import { checkFile } from "./load.ts";
import type { Settings } from "./schema.ts";

/** The file that `serve` reads when none is named and it exists in the working directory. */
export const DEFAULT_FILE = "ocireg.toml";
/** Settings are a few hundred bytes; a file beyond this isn't one. */
const maxFileSize = 1024 * 1024;

/**
 * Reads and checks a settings file; undefined when it doesn't exist and isn't `required`.
 *
 * @throws {Failure} `usage`
 */
export function readSettingsFile(path: string, required: boolean): Partial<Settings> | undefined {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > maxFileSize) throw new Error(`${size} bytes are too many, at most ${maxFileSize}`);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Failure("usage", `can't read the settings file: ${reason(error)}`, { cause: error });
  }
  let content: object;
  try {
    content = Bun.TOML.parse(text);
  } catch (error) {
    throw new Failure("usage", `${path} isn't TOML: ${reason(error)}`, { cause: error });
  }
  return checkFile(content as Record<string, unknown>, path);
}

function reason(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error)).slice(0, 300);
}
