/**
 * The first minute with ocireg: compiles it, serves a temporary root, pushes a model, pulls it into
 * a fresh cache and compares every byte.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { formatByteSize } from "../src/lib/byte-size.ts";
import { makeModel } from "../test/support/model.ts";

const usage = `usage: scripts/quickstart [DIR] [--keep]

Compiles ocireg, starts it on a free port, pushes a model, pulls it back and compares every byte.

  DIR      a directory with a model; without it, a small one is made
  --keep   leave the registry running
`;

const repository = resolve(import.meta.dir, "..");
const binary = join(repository, "dist", "ocireg");

/** What has to be undone, in which order ever this script ends. */
const children = new Set<Bun.Subprocess>();
let workspace: string | undefined;

function cleanUp(): void {
  for (const child of children) child.kill();
  if (workspace) rmSync(workspace, { recursive: true, force: true });
  workspace = undefined;
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.on(signal, () => {
    cleanUp();
    process.exit(code);
  });
}

/** For what is started here: the settings of whoever tries this stay out of it. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("OCIREG_")),
);

const say = (text: string) => process.stdout.write(`${text}\n`);
const step = (what: string, detail: string) => say(`  ${what.padEnd(10)}${detail}`);

class StepFailed extends Error {}

async function main(): Promise<void> {
  const { directory, keep } = readArguments();
  const temporary = mkdtempSync(join(tmpdir(), "ocireg-quickstart-"));
  workspace = temporary;
  say("ocireg quickstart");

  const started = performance.now();
  await run([process.execPath, join(repository, "build", "compile.ts")]);
  step("compiled", `${shown(binary)}, ${sizeOf(binary)}, in ${since(started)}`);

  const root = join(temporary, "registry");
  const registry = await serve(root, join(temporary, "serve.log"));
  step("serving", `http://${registry.host} with its data in ${root}`);

  const model = directory ?? join(temporary, "made");
  if (!directory) await makeModel(model, { shards: 3, bytesPerShard: 16 * 1024 * 1024 });
  const files = await listFiles(model);
  step("model", `${directory ? shown(model) : "made one"}: ${describe(files)}`);

  const reference = `${registry.host}/quickstart/model:v1`;
  const pushing = performance.now();
  const pushed = await run([binary, "push", model, reference]);
  step("pushed", `${pushed} in ${since(pushing)}`);

  const cache = join(temporary, "cache");
  const pulling = performance.now();
  const pulled = await run([binary, "pull", reference, "--cache-dir", cache]);
  step("pulled", `${pulled} in ${since(pulling)}`);

  await compare(model, files, pulled, directory !== undefined);

  if (keep) {
    children.delete(registry.process);
    workspace = undefined;
    registry.process.unref();
    say(`
The registry is still running. To stop it: kill ${registry.process.pid} && rm -r ${temporary}

Next:
  ${shown(binary)} inspect ${reference}
  ${shown(binary)} tags ls ${registry.host}/quickstart/model
  ${shown(binary)} pull ${reference} --output ./model`);
  } else {
    say(`
Next, with the first one left running:
  ${shown(binary)} serve --root ./data
  ${shown(binary)} push ${directory ? shown(model) : "DIR"} 127.0.0.1:5000/you/model:v1
  ${shown(binary)} pull 127.0.0.1:5000/you/model:v1 --output ./model`);
  }
}

function readArguments(): { directory: string | undefined; keep: boolean } {
  try {
    const { values, positionals } = parseArgs({
      options: { keep: { type: "boolean" }, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    if (positionals.length > 1) throw new Error("one directory at most");
    const directory = positionals[0] === undefined ? undefined : resolve(positionals[0]);
    if (directory && !statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Error(`${directory} isn't a directory`);
    }
    return { directory, keep: values.keep ?? false };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

/** Runs a program to its end and returns what it wrote to stdout, without the last newline. */
async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  children.add(child);
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  children.delete(child);
  if (code !== 0) {
    throw new StepFailed(
      `${command.map(shown).join(" ")} exited with ${code}:\n${stderr}${stdout}`,
    );
  }
  return stdout.replace(/\n$/, "");
}

/** Starts the registry; what it says goes to a file, so that it can outlive this script. */
async function serve(root: string, log: string) {
  const child = Bun.spawn([binary, "serve", "--addr", "127.0.0.1:0", "--root", root], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(log),
  });
  children.add(child);
  const deadline = performance.now() + 30_000;
  while (child.exitCode === null && performance.now() < deadline) {
    const host = /on http:\/\/(127\.0\.0\.1:\d+)/.exec(await Bun.file(log).text())?.[1];
    if (host) return { host, process: child };
    await Bun.sleep(20);
  }
  throw new StepFailed(`${shown(binary)} serve didn't start:\n${await Bun.file(log).text()}`);
}

/** The files below a directory with their sizes in bytes, sorted by path. Hidden ones don't count. */
async function listFiles(directory: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const path of new Bun.Glob("**/*").scan({ cwd: directory, followSymlinks: true })) {
    found.set(path, Bun.file(join(directory, path)).size);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Compares what was pulled with what was pushed, byte by byte. */
async function compare(
  model: string,
  files: Map<string, number>,
  pulled: string,
  mayLeaveOut: boolean,
): Promise<void> {
  const arrived = await listFiles(pulled);
  const missing = [...files.keys()].filter((path) => !arrived.has(path));
  if (arrived.size === 0 || (missing.length > 0 && !mayLeaveOut)) {
    throw new StepFailed(`these files didn't come back: ${missing.join(", ")}`);
  }
  for (const path of arrived.keys()) {
    if (!(await sameBytes(join(model, path), join(pulled, path)))) {
      throw new StepFailed(`${path} came back with other bytes than were pushed`);
    }
  }
  step("compared", `${describe(arrived)}: every byte is the same`);
  if (missing.length > 0) {
    step("left out", `${missing.length} that aren't part of the model: ${missing.join(", ")}`);
  }
}

async function sameBytes(first: string, second: string): Promise<boolean> {
  await using a = await open(first);
  await using b = await open(second);
  const [left, right] = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)];
  if ((await a.stat()).size !== (await b.stat()).size) return false;
  for (let position = 0; ; ) {
    const { bytesRead } = await a.read(left, 0, left.length, position);
    const other = await b.read(right, 0, right.length, position);
    if (bytesRead !== other.bytesRead) return false;
    if (bytesRead === 0) return true;
    if (left.compare(right, 0, bytesRead, 0, bytesRead) !== 0) return false;
    position += bytesRead;
  }
}

function describe(files: Map<string, number>): string {
  const total = [...files.values()].reduce((sum, size) => sum + size, 0);
  return `${files.size} files, ${formatByteSize(total)}`;
}

/** A path as one would type it here. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  if (near.startsWith("..") || !path.startsWith("/")) return path;
  return near.includes("/") ? near : `./${near}`;
}

const sizeOf = (path: string): string => formatByteSize(statSync(path).size);
const since = (start: number): string => `${((performance.now() - start) / 1000).toFixed(2)} s`;

try {
  await main();
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  cleanUp();
}
