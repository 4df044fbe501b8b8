/** The programs that pull, each into an empty directory. */
import { findTool, requireTool } from "../../test/support/programs.ts";
import { binary } from "./servers.ts";

export interface Puller {
  readonly name: string;
  /** What pulls `host/repository:tag` into a directory that isn't there yet. */
  command(reference: string, directory: string): string[];
}

export const ocireg: Puller = {
  name: "ocireg",
  command: (reference, directory) => [
    ...[binary, "pull", reference, "--cache-dir", directory, "--progress", "none"],
  ],
};

const peers: (Puller & { readonly tool: string })[] = [
  {
    name: "crane",
    tool: "crane",
    command: (reference, directory) => [
      ...[requireTool("crane"), "pull", "--format", "oci", reference, directory],
    ],
  },
  {
    name: "oras",
    tool: "oras",
    command: (reference, directory) => [
      ...[requireTool("oras"), "copy", "--no-tty", "--from-plain-http", reference],
      ...["--to-oci-layout", `${directory}:v1`],
    ],
  },
  {
    name: "skopeo",
    tool: "skopeo",
    command: (reference, directory) => [
      ...[requireTool("skopeo"), "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"],
      ...[`docker://${reference}`, `oci:${directory}:v1`],
    ],
  },
];

/** Those to compare with, as far as they are on PATH. */
export function pullPeers(): Puller[] {
  return peers.filter(({ tool }) => findTool(tool) !== undefined);
}
