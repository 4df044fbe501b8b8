/** Everything that has to hold: types, lint, the executable compiles, every test passes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { compiledBinary } from "../test/support/binary.ts";
import { findTool } from "../test/support/programs.ts";

const usage = `usage: scripts/test [--long] [--vllm] [PATH…]

Runs the type checker, the linter, the compiler and the tests: all of test/ and python/, or those in
PATH…. The last line says how many passed, failed and were skipped; types, lint and compiling count as
one test each. With CI=true a skipped test is a failure.

  --long   more and longer runs of the tests that can (OCIREG_TEST_LONG=1)
  --vllm   also what drives vLLM itself, by the Python that OCIREG_VLLM_PYTHON names, or
           ocireg-vllm-python on PATH: docs/vllm.md says how to make one
`;

const repository = resolve(import.meta.dir, "..");

interface Counts {
  passed: number;
  failed: number;
  /** `file: name` of each test. */
  skipped: string[];
}

let running: Bun.Subprocess | undefined;

const say = (text: string) => process.stdout.write(`${text}\n`);

/** One check that passes or fails as a whole. */
async function check(name: string, work: () => Promise<unknown>): Promise<Counts> {
  const started = performance.now();
  try {
    await work();
    say(`${name}: passed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return { passed: 1, failed: 0, skipped: [] };
  } catch (error) {
    say(`${name}: FAILED: ${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: 1, skipped: [] };
  }
}

const tool = (name: string) => join(repository, "node_modules", ".bin", name);

/** Runs a program in the repository and passes on what it says. */
async function run(command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd: repository,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "pipe"],
  });
  running = child;
  const decoder = new TextDecoder();
  let stderr = "";
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk);
    stderr = (stderr + decoder.decode(chunk, { stream: true })).slice(-4096);
  }
  /** `stderr`: its last few thousand characters. */
  return { code: await child.exited, stderr };
}

async function runChecker(command: string[]): Promise<void> {
  const { code } = await run(command);
  if (code !== 0) throw new Error(`exit code ${code}`);
}

const none: Counts = { passed: 0, failed: 0, skipped: [] };

async function runTests(paths: string[], long: boolean, workspace: string): Promise<Counts> {
  const report = join(workspace, "junit.xml");
  const command = [process.execPath, "test", "--isolate", "--no-orphans", "--timeout=30000"];
  const { code, stderr } = await run(
    [...command, "--dots", "--reporter=junit", `--reporter-outfile=${report}`, ...paths],
    // What tests leave behind goes with the workspace.
    { TMPDIR: workspace, ...(long && { OCIREG_TEST_LONG: "1" }) },
  );
  const count = (what: string) =>
    Number(new RegExp(`^ *(\\d+) ${what}$`, "m").exec(stderr)?.[1] ?? 0);
  const failed = count("fail");
  return {
    passed: count("pass"),
    // A run that died has no summary.
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: skippedIn(await readIfThere(report), count("skip") + count("todo")),
  };
}

/** The tests of the Python package. @param vllm a Python that has vLLM */
async function runPythonTests(
  paths: string[],
  vllm: string | undefined,
  workspace: string,
): Promise<Counts> {
  const python = await findPython();
  if (python === undefined) {
    return { ...none, skipped: ["python: all of it (needs Python 3.9 with pytest, see .ci/run)"] };
  }
  const report = join(workspace, "pytest.xml");
  const { code } = await run(
    [python, "-m", "pytest", "-q", "--tb=short", `--junitxml=${report}`, ...paths],
    {
      TMPDIR: workspace,
      PYTHONPATH: join(repository, "python", "src"),
      PYTHONDONTWRITEBYTECODE: "1",
      OCIREG_EXECUTABLE: await compiledBinary(),
      OCIREG_TEST_BUN: process.execPath,
      OCIREG_VLLM_PYTHON: vllm ?? "",
    },
  );
  const xml = await readIfThere(report);
  const count = (what: string) =>
    Number(new RegExp(`<testsuite [^>]*${what}="(\\d+)"`).exec(xml)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  const skipped = [...xml.matchAll(skippedByPytest)].map(
    ([, file, name, reason]) => `${file}: ${decode(`${name} (skipped: ${reason})`)}`,
  );
  return {
    passed: count("tests") - failed - count("skipped"),
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped,
  };
}

const skippedByPytest =
  /<testcase classname="([^"]*)" name="([^"]*)"[^>]*>\s*<skipped [^>]*message="([^"]*)"/g;

/** A Python that can run the tests: the one of `.ci/run`, else the one on PATH. */
async function findPython(): Promise<string | undefined> {
  for (const name of ["ocireg-test-python", "python3"]) {
    const python = findTool(name);
    if (python === undefined) continue;
    const probe = "import pytest, sys; sys.exit(sys.version_info < (3, 9))";
    const child = Bun.spawn([python, "-c", probe], { stdio: ["ignore", "ignore", "ignore"] });
    if ((await child.exited) === 0) return python;
  }
  return undefined;
}

async function readIfThere(path: string): Promise<string> {
  return (await Bun.file(path).exists()) ? await Bun.file(path).text() : "";
}

/** The names of skipped tests in Bun's JUnit report, which should have `count` of them. */
function skippedIn(xml: string, count: number): string[] {
  const cases = /<testcase name="([^"]*)"[^>]*? file="([^"]*)"[^>]*[^/]>\s*<skipped/g;
  const names = [...xml.matchAll(cases)].map(([, name = "", file]) => `${file}: ${decode(name)}`);
  while (names.length < count) names.push("a test that the report doesn't name");
  return names;
}

function decode(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name] ?? "");
}

const { values, positionals } = parseArgs({
  options: {
    long: { type: "boolean" },
    vllm: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
  allowPositionals: true,
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

const vllm = process.env["OCIREG_VLLM_PYTHON"] || findTool("ocireg-vllm-python");
if (values.vllm && vllm === undefined) {
  process.stderr.write("--vllm needs OCIREG_VLLM_PYTHON, or ocireg-vllm-python on PATH\n");
  process.exit(2);
}

const workspace = mkdtempSync(join(tmpdir(), "ocireg-tests-"));
const removeWorkspace = () => rmSync(workspace, { recursive: true, force: true });
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, async () => {
    running?.kill();
    await running?.exited;
    removeWorkspace();
    process.exit(code);
  });
}

let all: Counts[];
try {
  const paths = positionals.map((path) => `./${relative(repository, resolve(path))}`);
  const isPython = (path: string) => /^\.\/python(\/|$)/.test(path);
  const [ours, pythons] = [paths.filter((path) => !isPython(path)), paths.filter(isPython)];
  const everything = paths.length === 0;
  all = [
    await check("types", () => runChecker([process.execPath, tool("tsc")])),
    await check("lint", () => runChecker([process.execPath, tool("biome"), "check"])),
    await check("compile", () => compiledBinary()),
    everything || ours.length > 0 ? await runTests(ours, values.long ?? false, workspace) : none,
    everything || pythons.length > 0
      ? await runPythonTests(
          everything ? ["python"] : pythons,
          values.vllm ? vllm : undefined,
          workspace,
        )
      : none,
  ];
} finally {
  removeWorkspace();
}

const skipped = all.flatMap((counts) => counts.skipped);
const sum = (key: "passed" | "failed") => all.reduce((total, counts) => total + counts[key], 0);
const mustNotSkip = process.env["CI"] === "true" && skipped.length > 0;
for (const name of skipped) say(`skipped: ${name}`);
if (mustNotSkip) say("with CI=true a skipped test is a failure");
process.exitCode = sum("failed") > 0 || mustNotSkip ? 1 : 0;
say(`${sum("passed")} passed, ${sum("failed")} failed, ${skipped.length} skipped`);
