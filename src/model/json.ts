/** JSON that a stranger wrote: fields are read where they are there and of the right type. */
import { isNestedDeeper } from "../lib/json.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Objects and lists within each other; configurations have about five. */
const MAX_DEPTH = 100;

/**
 * `JSON.parse` for what a stranger wrote.
 *
 * @throws {SyntaxError} also for what is nested deeper than 100 levels: to read that takes memory that
 *   is a hundred times as large
 */
export function parseJson(text: string): unknown {
  if (isNestedDeeper(text, MAX_DEPTH)) throw new SyntaxError("it is nested too deep");
  return JSON.parse(text);
}

/** The object in `bytes`; an empty one when there is none, or it is nested deeper than 100 levels. */
export function parseObject(bytes: Uint8Array | undefined): JsonObject {
  return bytes ? parseText(new TextDecoder().decode(bytes)) : {};
}

/** {@link parseObject} of a text. */
export function parseText(text: string): JsonObject {
  try {
    return asObject(parseJson(text));
  } catch {
    return {};
  }
}

/** The value when it is an object, else an empty one. */
export function asObject(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : {};
}

/** The objects in a list; none when it isn't one. */
export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.map(asObject) : [];
}

/** The value when it is a text that isn't empty. */
export function asText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The texts in a list, or the one that stands there alone. */
export function textsIn(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map(asText).filter((text) => text !== undefined);
}

/** The fields that have a value: what isn't there is absent, not undefined. */
export function present<T extends object>(
  fields: {
    readonly [K in keyof T]?: T[K] | undefined;
  },
): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}
