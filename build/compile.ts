#!/usr/bin/env bun
/**
 * Compiles the executable: `bun build/compile.ts [--target TARGET|all]`. Without a target it is for
 * this machine, at dist/ocireg; else at dist/ocireg-TARGET.
 */
import { mkdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { formatByteSize } from "../src/lib/byte-size.ts";

const targets = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
] as const;
type Target = (typeof targets)[number];

const root = join(import.meta.dir, "..");

/** @param target undefined for the machine that compiles */
async function compile(target: Target | undefined, commit: string): Promise<string> {
  const outfile = join(root, "dist", target ? `ocireg-${target}` : "ocireg");
  await mkdir(join(root, "dist"), { recursive: true });
  await Bun.build({
    entrypoints: [join(root, "src/main.ts"), join(root, "src/worker.ts")],
    compile: {
      outfile,
      ...(target && { target: `bun-${target}` as Bun.Build.CompileTarget }),
      // What lies in the working directory must not change what a production binary does.
      autoloadBunfig: false,
      autoloadDotenv: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
      execArgv: [
        // Tokens of some registries make headers beyond the 16 KiB that are the default.
        "--max-http-header-size=131072",
        // Companies put their authorities into the system's store, or name them in SSL_CERT_FILE.
        "--use-system-ca",
      ],
    },
    format: "esm",
    bytecode: true,
    minify: { syntax: true, whitespace: true, identifiers: false },
    define: { OCIREG_COMMIT: JSON.stringify(commit), "process.env.NODE_ENV": '"production"' },
  });
  return outfile;
}

/** The commit that the sources are at; `unknown` outside of a git checkout. */
async function currentCommit(): Promise<string> {
  const git = Bun.spawn(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], {
    cwd: root,
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = (await git.stdout.text()).trim();
  return (await git.exited) === 0 && text !== "" ? text : "unknown";
}

function wanted(): (Target | undefined)[] {
  const { target } = parseArgs({ options: { target: { type: "string" } } }).values;
  if (target === undefined) return [undefined];
  if (target === "all") return [...targets];
  const found = targets.find((name) => name === target);
  if (!found) {
    process.stderr.write(
      `unknown target ${JSON.stringify(target)}, want ${targets.join(", ")} or all\n`,
    );
    process.exit(2);
  }
  return [found];
}

const commit = await currentCommit();
for (const target of wanted()) {
  const path = await compile(target, commit);
  const { size } = await stat(path);
  process.stdout.write(`${relative(process.cwd(), path)} ${formatByteSize(size)}\n`);
}
