/** Weight files and manifests, made by hand. */
import { expect } from "bun:test";
import { Failure, type FailureKind } from "../../src/lib/failure.ts";
import { plan } from "../../src/model/plan.ts";
import type { Target } from "../../src/model/planned-file.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Manifest } from "../../src/oci/manifest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";

/** The message of the `content` failure that `action` must end with. */
export function refusal(action: () => unknown): string {
  return failureOf(action, "content");
}

/** The message of the `usage` failure that `action` must end with. */
export function usageError(action: () => unknown): string {
  return failureOf(action, "usage");
}

function failureOf(action: () => unknown, kind: FailureKind): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).kind).toBe(kind);
    return (error as Failure).message;
  }
  throw new Error("it was accepted");
}

/** A whole safetensors file around a header, as it is written. */
export function safetensorsFile(header: string, dataLength: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.byteLength + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  bytes.set(json, 8);
  bytes.fill(7, 8 + json.byteLength);
  return bytes;
}

/** A valid file with one-dimensional F32 tensors. */
export function tensorFile(tensors: Readonly<Record<string, number>>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const [name, elements] of Object.entries(tensors)) {
    const end = offset + elements * 4;
    header[name] = { dtype: "F32", shape: [elements], data_offsets: [offset, end] };
    offset = end;
  }
  return safetensorsFile(JSON.stringify(header), offset);
}

export type GgufValue = string | number | boolean | readonly string[];

/** A GGUF file, version 3: strings, u32 numbers, booleans, arrays of strings, F32 tensors. */
export function ggufFile(
  values: Readonly<Record<string, GgufValue>>,
  tensors: Readonly<Record<string, readonly number[]>> = {},
): Uint8Array {
  const parts: Uint8Array[] = [];
  const put = (size: number, write: (view: DataView) => void) => {
    const view = new DataView(new ArrayBuffer(size));
    write(view);
    parts.push(new Uint8Array(view.buffer));
  };
  const u32 = (value: number) => put(4, (view) => view.setUint32(0, value, true));
  const u64 = (value: number) => put(8, (view) => view.setBigUint64(0, BigInt(value), true));
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.byteLength);
    parts.push(bytes);
  };
  parts.push(new TextEncoder().encode("GGUF"));
  u32(3);
  u64(Object.keys(tensors).length);
  u64(Object.keys(values).length);
  for (const [key, value] of Object.entries(values)) {
    text(key);
    if (typeof value === "string") {
      u32(8);
      text(value);
    } else if (typeof value === "number") {
      u32(4);
      u32(value);
    } else if (typeof value === "boolean") {
      u32(7);
      put(1, (view) => view.setUint8(0, value ? 1 : 0));
    } else {
      u32(9);
      u32(8);
      u64(value.length);
      for (const item of value) text(item);
    }
  }
  for (const [name, shape] of Object.entries(tensors)) {
    text(name);
    u32(shape.length);
    for (const size of shape) u64(size);
    u32(0);
    u64(0);
  }
  return new Uint8Array(Buffer.concat(parts));
}

export interface LayerInput {
  readonly mediaType: string;
  /** @default the media type */
  readonly content?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function layer({ mediaType, content = mediaType, annotations }: LayerInput): Descriptor {
  const size = Buffer.byteLength(content);
  return { mediaType, digest: digestOf(content), size, ...(annotations && { annotations }) };
}

export function imageManifest(
  configType: string,
  layers: readonly Descriptor[],
  artifactType?: string,
): Manifest {
  return {
    kind: "image",
    mediaType: OCI_IMAGE_MANIFEST,
    content: {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      ...(artifactType !== undefined && { artifactType }),
      config: layer({ mediaType: configType, content: "{}" }),
      layers: [...layers],
    },
  };
}

/** What each layer of a manifest becomes, in short. */
export function targetsOf(manifest: Manifest, config?: unknown): string[] {
  const bytes = config === undefined ? undefined : Buffer.from(JSON.stringify(config));
  return plan(manifest, bytes).files.map(({ target }) => inShort(target));
}

function inShort(target: Target): string {
  switch (target.kind) {
    case "file":
      return target.compression ? `${target.path} ${target.compression}` : target.path;
    case "shard":
      return `shard ${target.encoding}`;
    case "image-layer":
      return `image-layer ${target.compression}`;
    case "unnamed":
      return "unnamed";
    case "archive": {
      const within = target.within ? ` within ${target.within}` : "";
      const into = target.into ? ` into ${target.into}` : "";
      return `archive ${target.compression}${within}${into}`;
    }
  }
}

export const filepath = (path: string) => ({ "org.cncf.model.filepath": path });
