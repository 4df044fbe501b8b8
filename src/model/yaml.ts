/** JSON as YAML 1.2 that people read: all that is written here, and nothing is read. */
import type { JsonObject } from "./json.ts";

/** Levels that get lines of their own. What lies deeper is JSON, which is YAML too. */
const MAX_LEVEL = 5;

/** Bytes grow by a factor of 20 at most, however the value is nested. */
export function toYaml(value: JsonObject): string {
  const lines = linesOf(value, 0);
  return lines ? `${lines.join("\n")}\n` : "{}\n";
}

/** The lines of an object or a list that isn't empty; undefined for what fits behind its key. */
function linesOf(value: unknown, level: number): string[] | undefined {
  if (typeof value !== "object" || value === null || level === MAX_LEVEL) return undefined;
  if (Array.isArray(value)) {
    if (value.length === 0) return undefined;
    return value.flatMap((item) => {
      const lines = linesOf(item, level + 1);
      if (!lines) return [`- ${inline(item)}`];
      return lines.map((line, index) => `${index === 0 ? "- " : "  "}${line}`);
    });
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return undefined;
  return entries.flatMap(([key, item]) => {
    const lines = linesOf(item, level + 1);
    if (!lines) return [`${scalar(key)}: ${inline(item)}`];
    return [`${scalar(key)}:`, ...lines.map((line) => `  ${line}`)];
  });
}

function inline(value: unknown): string {
  return typeof value === "string" ? scalar(value) : JSON.stringify(value);
}

/** Quoted unless every reader takes it for a text as it stands. */
function scalar(text: string): string {
  const isPlain = /^[A-Za-z][\w./ -]*$/.test(text) && !text.endsWith(" ");
  return isPlain && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(text) ? text : quoted(text);
}

/** JSON leaves some characters as they are that YAML takes for line breaks, or refuses. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
