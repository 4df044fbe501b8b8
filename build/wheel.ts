#!/usr/bin/env bun
/**
 * Makes the Python wheel: `bun build/wheel.ts [--target TARGET|all] [--binary FILE]`, of python/ and
 * an executable that build/compile.ts has made. Without a target it is for this machine. The wheel
 * is at dist/ocireg-VERSION-py3-none-PLATFORM.whl; the same content makes the same bytes.
 */
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { formatByteSize } from "../src/lib/byte-size.ts";
import {
  executablePath,
  outputDirectory,
  repository,
  type Target,
  targets,
  wantedTargets,
} from "./targets.ts";
import { type ZipEntry, zip } from "./zip.ts";

/**
 * The platform tags of each target: glibc 2.17 (PEP 600), musl 1.2 (PEP 656), and the macOS that the
 * executable's own header asks for.
 */
const platformTags: Readonly<Record<Target, readonly string[]>> = {
  "linux-x64": ["manylinux_2_17_x86_64", "manylinux2014_x86_64"],
  "linux-arm64": ["manylinux_2_17_aarch64", "manylinux2014_aarch64"],
  "linux-x64-musl": ["musllinux_1_2_x86_64"],
  "linux-arm64-musl": ["musllinux_1_2_aarch64"],
  "darwin-x64": ["macosx_13_0_x86_64"],
  "darwin-arm64": ["macosx_13_0_arm64"],
};

const python = join(repository, "python");

/** What this recipe takes from pyproject.toml; whatever else stands there is refused. */
interface Project {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly readme: string;
  readonly license: string;
  readonly "requires-python": string;
  readonly keywords: readonly string[];
  readonly classifiers: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly "entry-points"?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly "optional-dependencies": Readonly<Record<string, readonly string[]>>;
}

const understood: readonly (keyof Project)[] = [
  "name",
  "version",
  "description",
  "readme",
  "license",
  "requires-python",
  "keywords",
  "classifiers",
  "scripts",
  "entry-points",
  "optional-dependencies",
];

async function readProject(): Promise<Project> {
  const text = await Bun.file(join(python, "pyproject.toml")).text();
  const { project } = Bun.TOML.parse(text) as { project: Project };
  const keys = Object.keys(project);
  const strange = keys.filter((key) => !understood.some((known) => known === key));
  const missing = understood.filter((key) => key !== "entry-points" && !keys.includes(key));
  if (strange.length > 0 || missing.length > 0) {
    throw new Error(
      `[project] in pyproject.toml: build/wheel.ts doesn't know ${JSON.stringify(strange)}, and misses ${JSON.stringify(missing)}`,
    );
  }
  return project;
}

/** https://packaging.python.org/en/latest/specifications/core-metadata/ */
async function metadata(project: Project): Promise<string> {
  const extras = Object.entries(project["optional-dependencies"]);
  const fields = [
    ["Metadata-Version", "2.4"],
    ["Name", project.name],
    ["Version", project.version],
    ["Summary", project.description],
    ["License-Expression", project.license],
    ["License-File", "LICENSE"],
    ["Keywords", project.keywords.join(",")],
    ...project.classifiers.map((classifier) => ["Classifier", classifier]),
    ["Requires-Python", project["requires-python"]],
    ...extras.flatMap(([extra, wanted]) => [
      ["Provides-Extra", extra],
      ...wanted.map((name) => ["Requires-Dist", `${name}; extra == '${extra}'`]),
    ]),
    ["Description-Content-Type", "text/markdown"],
  ];
  const head = fields.map(([name, value]) => `${name}: ${value}\n`).join("");
  return `${head}\n${await Bun.file(join(python, project.readme)).text()}`;
}

function entryPoints(project: Project): string {
  const groups = { console_scripts: project.scripts, ...project["entry-points"] };
  return Object.entries(groups)
    .map(([group, points]) => {
      const lines = Object.entries(points).map(([name, object]) => `${name} = ${object}\n`);
      return `[${group}]\n${lines.join("")}`;
    })
    .join("\n");
}

const text = (content: string) => new TextEncoder().encode(content);

/** The modules of the package, whatever Python leaves between them. */
async function modules(): Promise<ZipEntry[]> {
  const source = join(python, "src");
  const names = await readdir(join(source, "ocireg"), { recursive: true });
  const wanted = names.filter((name) => /\.py$|(^|\/)py\.typed$/.test(name)).sort();
  return Promise.all(
    wanted.map(async (name) => ({
      path: `ocireg/${name}`,
      content: await Bun.file(join(source, "ocireg", name)).bytes(),
    })),
  );
}

/** `path,sha256=…,size` for each file, and for RECORD itself nothing. */
function record(entries: readonly ZipEntry[], path: string): string {
  const lines = entries.map((entry) => {
    const hash = new Bun.CryptoHasher("sha256").update(entry.content).digest("base64url");
    return `${entry.path},sha256=${hash},${entry.content.byteLength}\n`;
  });
  return `${lines.join("")}${path},,\n`;
}

/** @returns the path of the wheel */
async function makeWheel(project: Project, target: Target, executable: string): Promise<string> {
  const { name, version } = project;
  const info = `${name}-${version}.dist-info`;
  const tags = platformTags[target];
  const wheel = [
    "Wheel-Version: 1.0",
    "Generator: ocireg build/wheel.ts",
    "Root-Is-Purelib: false",
    ...tags.map((tag) => `Tag: py3-none-${tag}`),
  ];
  const entries: ZipEntry[] = [
    ...(await modules()),
    {
      path: "ocireg/bin/ocireg",
      content: await Bun.file(executable).bytes(),
      executable: true,
    },
    {
      path: `${info}/licenses/LICENSE`,
      content: await Bun.file(join(repository, "LICENSE")).bytes(),
    },
    { path: `${info}/METADATA`, content: text(await metadata(project)) },
    { path: `${info}/WHEEL`, content: text(`${wheel.join("\n")}\n`) },
    { path: `${info}/entry_points.txt`, content: text(entryPoints(project)) },
  ];
  const path = `${info}/RECORD`;
  entries.push({ path, content: text(record(entries, path)) });
  const outfile = join(outputDirectory, `${name}-${version}-py3-none-${tags.join(".")}.whl`);
  await Bun.write(outfile, zip(entries));
  return outfile;
}

/** The target that this machine is. */
function thisMachine(): Target {
  const musl = process.platform === "linux" && !hasGlibc() ? "-musl" : "";
  const name = `${process.platform}-${process.arch}${musl}`;
  const found = targets.find((target) => target === name);
  if (!found) throw new Error(`there is no target for this machine, ${name}: give --target`);
  return found;
}

function hasGlibc(): boolean {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime !== undefined;
}

const { values } = parseArgs({
  options: { target: { type: "string" }, binary: { type: "string" } },
});
if (values.binary !== undefined && values.target === "all") {
  process.stderr.write("--binary is for one target\n");
  process.exit(2);
}
const project = await readProject();
for (const target of wantedTargets(values.target)) {
  const executable = values.binary ?? executablePath(target);
  if (!(await Bun.file(executable).exists())) {
    const flag = target ? ` --target ${target}` : "";
    process.stderr.write(
      `${relative(process.cwd(), executable)} isn't there: bun build/compile.ts${flag}\n`,
    );
    process.exit(1);
  }
  const path = await makeWheel(project, target ?? thisMachine(), executable);
  process.stdout.write(
    `${relative(process.cwd(), path)} ${formatByteSize((await stat(path)).size)}\n`,
  );
}
