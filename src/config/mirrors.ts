/** How mirrors are written in one line: `docker.io=https://a.example,https://b.example;ghcr.io=…`. */
import { parseRegistry } from "../oci/reference.ts";

/** URLs of mirrors by registry, the one to ask first first. */
export type Mirrors = Readonly<Record<string, readonly string[]>>;

/** Undefined for a text that isn't acceptable. Whether the URLs are some is for their user to say. */
export function parseMirrors(text: string): Mirrors | undefined {
  const mirrors = new Map<string, string[]>();
  for (const part of text.split(";").map((part) => part.trim())) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const registry = readRegistry(part.slice(0, Math.max(equals, 0)).trim());
    const urls = part
      .slice(equals + 1)
      .split(",")
      .map((url) => url.trim());
    if (registry === undefined || urls.includes("")) return undefined;
    mirrors.set(registry, [...(mirrors.get(registry) ?? []), ...urls]);
  }
  return mirrors.size > 0 ? Object.fromEntries(mirrors) : undefined;
}

/** As {@link parseMirrors} reads it. */
export function formatMirrors(mirrors: Mirrors): string {
  return Object.entries(mirrors)
    .map(([registry, urls]) => `${registry}=${urls.join(",")}`)
    .join(";");
}

function readRegistry(text: string): string | undefined {
  try {
    return parseRegistry(text);
  } catch {
    return undefined;
  }
}
