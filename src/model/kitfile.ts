/** The Kitfile of a ModelKit, which is its config: what each layer is, and where it goes. */
import type { Digest } from "../oci/digest.ts";
import { asDigest } from "./diff-ids.ts";
import { asObject, asText, type JsonObject, objectsIn } from "./json.ts";
import { toYaml } from "./yaml.ts";

/** What a layer is, as its media type says it. */
export type KitKind = "model" | "modelpart" | "code" | "dataset" | "docs" | "mcpb";

/** One thing that a Kitfile lists, in the order of the layers. */
export interface KitEntry {
  readonly kind: KitKind;
  readonly path?: string | undefined;
  /** Of its layer; missing before KitOps 0.5.0. */
  readonly digest?: Digest | undefined;
  readonly diffId?: Digest | undefined;
}

export function entriesOf(kitfile: JsonObject): KitEntry[] {
  const model = asObject(kitfile["model"]);
  const entries: [KitKind, JsonObject[]][] = [
    ["model", "model" in kitfile ? [model] : []],
    ["modelpart", objectsIn(model["parts"])],
    ["code", [...objectsIn(kitfile["code"]), ...objectsIn(kitfile["prompts"])]],
    ["dataset", objectsIn(kitfile["datasets"])],
    ["docs", objectsIn(kitfile["docs"])],
    ["mcpb", objectsIn(kitfile["mcpServers"])],
  ];
  return entries.flatMap(([kind, list]) =>
    list.map((entry) => ({
      kind,
      path: asText(entry["path"]),
      digest: asDigest(entry["digest"]),
      diffId: asDigest(entry["diffId"]),
    })),
  );
}

/** The Kitfile as its author wrote it: the packer added what its layers are. */
export function kitfileYaml(kitfile: JsonObject): string {
  return toYaml(
    Object.fromEntries(
      Object.entries(kitfile).map(([key, value]) => [key, withoutDigests(value, key === "model")]),
    ),
  );
}

function withoutDigests(value: unknown, isModel: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutDigests(item, false));
  if (typeof value !== "object" || value === null) return value;
  const { digest: _, diffId: __, ...rest } = value as JsonObject;
  return isModel && "parts" in rest
    ? { ...rest, parts: withoutDigests(rest["parts"], false) }
    : rest;
}
