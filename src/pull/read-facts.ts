/** Reads what a model's own files say about it: heads of weights, config.json, README, licences. */
import { Failure } from "../lib/failure.ts";
import { mapConcurrently } from "../lib/pool.ts";
import { ggufFacts, type ModelFacts, safetensorsFacts } from "../model/facts.ts";
import { parseJson } from "../model/json.ts";
import { licenseOfText, licensesOfReadme, unique } from "../model/licenses.ts";
import type { ModelSurvey } from "../model/model-files.ts";
import type { SourceFile } from "./source-file.ts";
import { ggufHeadIn, safetensorsHeaderIn } from "./weight-headers.ts";

/** Files whose heads are read at a time. */
const READS = 8;
/** Bytes of config.json. */
const MAX_CONFIG = 16 * 1024 * 1024;
/** Bytes of a README or licence that are read. */
const TEXT = 64 * 1024;

/** @throws {Failure} `content` when weights aren't valid, or config.json isn't JSON */
export async function readFacts(
  model: ModelSurvey,
  files: ReadonlyMap<string, SourceFile>,
): Promise<ModelFacts> {
  const facts = await readWeights(model, files);
  const licenses = unique([...(facts.licenses ?? []), ...(await readLicenses(model, files))]);
  return { ...facts, ...(licenses.length > 0 && { licenses }) };
}

async function readWeights(
  { format, weights: paths }: ModelSurvey,
  files: ReadonlyMap<string, SourceFile>,
): Promise<ModelFacts> {
  const weights = paths.map((path) => fileAt(files, path));
  const size = weights.reduce((sum, file) => sum + file.size, 0);
  if (format === "gguf") {
    const heads = await mapConcurrently(weights, READS, (file) => ggufHeadIn(file, file.source));
    return ggufFacts(heads, size);
  }
  const headers =
    format === "safetensors"
      ? await mapConcurrently(weights, READS, (file) => safetensorsHeaderIn(file, file.source))
      : [];
  return safetensorsFacts(headers, await readConfigJson(files.get("config.json")), size);
}

async function readConfigJson(file: SourceFile | undefined): Promise<unknown> {
  if (!file) return undefined;
  try {
    if (file.size > MAX_CONFIG) throw new SyntaxError("too large");
    return parseJson(new TextDecoder().decode(await file.read(0, file.size)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Failure("content", `${JSON.stringify(file.source)} isn't JSON`, { cause: error });
  }
}

async function readLicenses(
  model: ModelSurvey,
  files: ReadonlyMap<string, SourceFile>,
): Promise<string[]> {
  const readme = files.get("README.md");
  const found = readme ? licensesOfReadme(await readText(readme)) : [];
  if (found.length > 0) return found;
  const texts = model.files.filter(({ kind, path }) => kind === "license" && !path.includes("/"));
  const named = await mapConcurrently(texts, READS, async ({ path }) =>
    licenseOfText(await readText(fileAt(files, path))),
  );
  return named.filter((license) => license !== undefined);
}

async function readText(file: SourceFile): Promise<string> {
  return new TextDecoder().decode(await file.read(0, Math.min(TEXT, file.size)));
}

export function fileAt(files: ReadonlyMap<string, SourceFile>, path: string): SourceFile {
  const file = files.get(path);
  if (!file) throw new Error(`${path} isn't a file of the model`);
  return file;
}
