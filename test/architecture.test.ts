/** The house rules of docs/architecture.md, held against every file of src/. */
import { describe, expect, test } from "bun:test";
import { dirname, join, normalize, resolve } from "node:path";

const source = resolve(import.meta.dir, "../src");

/** What each folder may import besides itself. A folder that isn't listed isn't part of the house. */
const allowedImports: Record<string, readonly string[]> = {
  lib: [],
  oci: ["lib"],
  model: ["oci", "lib"],
  storage: ["oci", "lib"],
  registry: ["oci", "lib"],
  config: ["oci", "lib"],
  pull: ["registry", "model", "oci", "lib"],
  server: ["storage", "config", "oci", "lib"],
  cli: ["server", "pull", "config", "registry", "storage", "model", "oci", "lib"],
  "main.ts": ["cli", "lib"],
  "worker.ts": ["pull"],
};

/** Packages that only some folders may import. */
const packageOwners: Record<string, readonly string[]> = {
  elysia: ["server"],
  "@stricli/core": ["cli", "main.ts"],
};

/** Folders that only compute: whatever they are given comes as an argument. */
const pureFolders = ["oci", "model"];
const pureModules = ["node:path", "node:path/posix"];
const inputOutput =
  /\bBun\.(?!CryptoHasher\b)\w+|\b(?:fetch|setTimeout|setInterval)\(|\bprocess\.(?!platform\b|arch\b)\w+|\b(?:console|WebSocket|Worker)\b/;

/** Folders that may speak to the terminal and end the process. */
const terminalFolders = ["cli", "main.ts"];
const terminal = /\bconsole\.|\bprocess\.(?:stdout|stderr|exit|exitCode)\b/;

const importStatement =
  /(?:^|[;\n])\s*(?:import|export)\b(?:[^"';]*?\bfrom)?\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;

/** The rules that the text of one file breaks. `path` is relative to src/, with slashes. */
function violations(path: string, text: string): string[] {
  const folder = topOf(path);
  const allowed = allowedImports[folder];
  if (!allowed) return [`${path}: src/${folder} isn't part of the house`];

  const found = importsOf(text).flatMap((specifier) => {
    const problem = specifier.startsWith(".")
      ? checkOwnImport(path, specifier, [folder, ...allowed])
      : checkPackageImport(folder, specifier);
    return problem ? [`${path}: ${problem}`] : [];
  });
  // Types and comments are gone from the transpiled text: what is left runs.
  const code = new Bun.Transpiler({ loader: "ts" }).transformSync(text);
  if (pureFolders.includes(folder)) {
    const match = inputOutput.exec(code);
    if (match) found.push(`${path}: ${folder}/ does no I/O, but uses ${match[0]}`);
  }
  if (!terminalFolders.includes(folder)) {
    const match = terminal.exec(code);
    if (match) found.push(`${path}: only cli/ may use ${match[0]}`);
  }
  return found;
}

function checkOwnImport(path: string, specifier: string, allowed: string[]): string | undefined {
  const target = normalize(join(dirname(path), specifier));
  // package.json, for the version, is the one thing outside of src/ that may be read.
  if (target === "../package.json") return;
  if (target.startsWith("..")) return `imports ${specifier}, which is outside of src/`;
  if (!target.endsWith(".ts")) return `imports ${specifier} without its .ts extension`;
  if (!allowed.includes(topOf(target))) return `may not import ${topOf(target)} (${specifier})`;
  return;
}

function checkPackageImport(folder: string, specifier: string): string | undefined {
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  if (packageOwners[name] && !packageOwners[name].includes(folder)) {
    return `only ${packageOwners[name].join(", ")} may import ${name}`;
  }
  if (pureFolders.includes(folder) && /^(?:node|bun):/.test(specifier)) {
    if (!pureModules.includes(specifier)) return `${folder}/ does no I/O, but imports ${specifier}`;
  }
  return;
}

function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  return [...code.matchAll(importStatement)].map((match) => match[1] ?? match[2] ?? "");
}

function topOf(path: string): string {
  return path.split("/")[0] ?? path;
}

describe("the rules of the house", () => {
  const files = [...new Bun.Glob("**/*").scanSync({ cwd: source })].sort();

  test("hold for every file", async () => {
    expect(files.length).toBeGreaterThan(0);
    const found: string[] = [];
    for (const file of files) {
      found.push(...violations(file, await Bun.file(join(source, file)).text()));
    }
    expect(found).toEqual([]);
  });
});

describe("the checker", () => {
  const offences: [title: string, path: string, text: string][] = [
    ["an import against the stream", "oci/a.ts", 'import { x } from "../storage/x.ts";'],
    ["a type import against the stream", "lib/a.ts", 'import type { X } from "../oci/x.ts";'],
    ["a re-export against the stream", "server/a.ts", 'export * from "../cli/x.ts";'],
    ["an import for its effect", "registry/a.ts", 'import "../pull/x.ts";'],
    ["a lazy import", "pull/a.ts", 'const x = await import("../server/x.ts");'],
    ["an import over several lines", "lib/a.ts", 'import {\n  a,\n  b,\n} from "../cli/x.ts";'],
    ["Elysia outside of server/", "cli/a.ts", 'import { Elysia } from "elysia";'],
    ["a part of Elysia outside of server/", "lib/a.ts", 'import { x } from "elysia/ws";'],
    ["a file system in oci/", "oci/a.ts", 'import { open } from "node:fs/promises";'],
    ["Bun.file in model/", "model/a.ts", 'export const x = Bun.file("x");'],
    ["fetch in model/", "model/a.ts", 'export const x = () => fetch("http://x");'],
    ["the environment in oci/", "oci/a.ts", 'export const x = process.env["X"];'],
    ["output outside of cli/", "pull/a.ts", 'process.stderr.write("x");'],
    ["an exit outside of cli/", "storage/a.ts", "process.exit(1);"],
    ["a missing extension", "oci/a.ts", 'import { x } from "./x";'],
    ["a path out of src/", "cli/a.ts", 'import { x } from "../../test/x.ts";'],
    ["a folder that nobody planned", "utils/a.ts", "export const x = 1;"],
    ["a file beside main.ts", "other.ts", "export const x = 1;"],
  ];
  test.each(offences)("finds %s", (_title, path, text) => {
    expect(violations(path, text)).toHaveLength(1);
  });

  const innocent: [title: string, path: string, text: string][] = [
    ["imports down the stream", "server/a.ts", 'import { x } from "../storage/x.ts";'],
    [
      "what a comment says",
      "oci/a.ts",
      '// import { x } from "../cli/x.ts"; fetch(it)\n/* Bun.file */',
    ],
    ["hashing in oci/", "oci/a.ts", 'export const x = new Bun.CryptoHasher("sha256");'],
    ["a type of Bun's in model/", "model/a.ts", "export type X = Bun.BunFile;"],
    ["its own package.json", "cli/a.ts", 'import { version } from "../../package.json";'],
  ];
  test.each(innocent)("lets pass %s", (_title, path, text) => {
    expect(violations(path, text)).toEqual([]);
  });
});
