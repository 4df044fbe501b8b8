#!/usr/bin/env bun
/**
 * Compiles the executable: `bun build/compile.ts [--target TARGET|all]`. Without a target it is for
 * this machine, at dist/ocireg; else at dist/ocireg-TARGET.
 */
import { mkdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { formatByteSize } from "../src/lib/byte-size.ts";
import {
  executablePath,
  outputDirectory,
  repository,
  type Target,
  wantedTargets,
} from "./targets.ts";

/** @param target undefined for the machine that compiles */
async function compile(target: Target | undefined, commit: string): Promise<string> {
  const outfile = executablePath(target);
  await mkdir(outputDirectory, { recursive: true });
  await Bun.build({
    entrypoints: [join(repository, "src/main.ts"), join(repository, "src/worker.ts")],
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
    cwd: repository,
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = (await git.stdout.text()).trim();
  return (await git.exited) === 0 && text !== "" ? text : "unknown";
}

const commit = await currentCommit();
const { target: named } = parseArgs({ options: { target: { type: "string" } } }).values;
for (const target of wantedTargets(named)) {
  const path = await compile(target, commit);
  const { size } = await stat(path);
  process.stdout.write(`${relative(process.cwd(), path)} ${formatByteSize(size)}\n`);
}
