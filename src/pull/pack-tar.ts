/** Tar archives that come out the same on every machine. */
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { createTarPacker, type TarHeader } from "modern-tar";
import { writeFully } from "../lib/durable.ts";

export interface TarSource {
  /** The name in the archive. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  stream(): AsyncIterable<Uint8Array>;
}

/**
 * Writes an archive of regular files, in their order, to `target`. Modes, owners and times are
 * fixed: the bytes depend on names and contents alone.
 */
export async function packTar(files: readonly TarSource[], target: string): Promise<void> {
  const { readable, controller } = createTarPacker();
  const adding = addAll(files, controller).catch((error: unknown) => controller.error(error));
  const handle = await open(target, "wx", 0o600);
  try {
    let position = 0;
    for await (const chunk of readable) {
      await writeFully(handle, chunk, position);
      position += chunk.byteLength;
    }
  } finally {
    await handle.close();
    await adding;
  }
}

type Controller = ReturnType<typeof createTarPacker>["controller"];

async function addAll(files: readonly TarSource[], controller: Controller): Promise<void> {
  const folders = new Set<string>();
  for (const file of files) {
    await addFolders(dirname(file.path), folders, controller);
    const writer = controller.add(fixedHeader(file.path, "file", file.size)).getWriter();
    // The packer refuses more or fewer bytes than the header says.
    for await (const chunk of file.stream()) await writer.write(new Uint8Array(chunk));
    await writer.close();
  }
  controller.finalize();
}

async function addFolders(
  path: string,
  folders: Set<string>,
  controller: Controller,
): Promise<void> {
  if (path === "." || folders.has(path)) return;
  await addFolders(dirname(path), folders, controller);
  folders.add(path);
  await controller.add(fixedHeader(`${path}/`, "directory", 0)).close();
}

function fixedHeader(name: string, type: "file" | "directory", size: number): TarHeader {
  const mode = type === "file" ? 0o644 : 0o755;
  return { name, type, size, mode, mtime: new Date(0), uid: 0, gid: 0, uname: "", gname: "" };
}
