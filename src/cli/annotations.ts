/** What `--annotation` says. */
import type { Settings } from "../config/schema.ts";
import { Failure } from "../lib/failure.ts";
import type { Annotations } from "../oci/descriptor.ts";

/** @throws {Failure} `usage` */
export function annotationsOf({ annotation }: Pick<Settings, "annotation">): Annotations {
  return Object.fromEntries(annotation.map(parse));
}

function parse(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) {
    throw new Failure("usage", `--annotation is ${JSON.stringify(text)}, want KEY=VALUE`);
  }
  return [text.slice(0, equals), text.slice(equals + 1)];
}
