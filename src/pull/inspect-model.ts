/** What the files of an artifact say about the model, from their beginnings. */
import { Failure } from "../lib/failure.ts";
import { mapConcurrently } from "../lib/pool.ts";
import { formatCount } from "../model/docker-pack.ts";
import { ggufFacts, type ModelFacts, safetensorsFacts } from "../model/facts.ts";
import type { ModelDescription } from "../model/format.ts";
import { firstGgufValues, type GgufHead, isProjector, parseGgufHead } from "../model/gguf.ts";
import { asObject, asText, parseJson } from "../model/json.ts";
import { licenseId, licenseOfText, licensesOfReadme, unique } from "../model/licenses.ts";
import { SAFETENSORS_PREFIX, safetensorsHeaderLength } from "../model/safetensors.ts";
import { type Allowance, OutOfReach } from "./blob-reader.ts";
import type { ListedFile } from "./tar-listing.ts";
import { safetensorsHeaderIn } from "./weight-headers.ts";

export interface InspectedModel extends ModelDescription {
  /** The number of elements in all tensors, counted. Packed quantizations make it less than it says. */
  readonly parameterCount?: number;
}

/** Files that are read at a time. */
const READS = 8;
/** Bytes that all heads of weights may take: files that are many get less each. */
const HEADS = 384 * 1024;
/** Bytes of a config.json, and of the beginning of a README or licence. */
const MAX_CONFIG = 128 * 1024;
const TEXT = 8 * 1024;
/** Licence texts that are looked at. */
const MAX_TEXTS = 3;

const licenseName = /^(?:licen[cs]e|copying)(?:[-._][^/]*)?$/i;

/** Bytes to read at once of each of `count` weight files, when so many are inspected. */
export function firstReadOf(count: number): number {
  return Math.round(Math.min(256 * 1024, Math.max(4096, HEADS / Math.max(1, count))));
}

/**
 * What files say themselves; what isn't there, or would cost too much to read, stays open.
 *
 * @param tolerates whether to go on without what couldn't be read
 */
export async function readModel(
  files: readonly ListedFile[],
  allowance: Allowance,
  tolerates: (error: unknown) => boolean,
): Promise<InspectedModel> {
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof OutOfReach || tolerates(error)) return undefined;
      throw error;
    }
  };
  const named = new Map(files.map((file) => [file.path, file]));
  const config = await attempt(() => readConfig(named.get("config.json")));
  const gguf = topmost(files, ".gguf");
  const safetensors = topmost(files, ".safetensors");
  const isGguf = gguf.length > 0;
  const weights = isGguf
    ? await attempt(() => readGguf(gguf))
    : await attempt(() => readSafetensors(safetensors, config, allowance));
  const method = asText(asObject(asObject(config)["quantization_config"])["quant_method"]);
  const licenses = weights?.licenses ?? (await attempt(() => readLicenses(named)));
  return {
    ...(isGguf ? { format: "gguf" } : safetensors.length > 0 ? { format: "safetensors" } : {}),
    ...(weights ?? describe(safetensorsFacts([], config, 0))),
    ...(method !== undefined && { quantization: method }),
    ...(licenses && licenses.length > 0 && { licenses }),
  };
}

/** The files with this ending, those in folders only where there are no others. */
function topmost(files: readonly ListedFile[], ending: string): ListedFile[] {
  const found = files.filter(({ path }) => path.endsWith(ending));
  const top = found.filter(({ path }) => !path.includes("/"));
  return top.length > 0 ? top : found;
}

async function readSafetensors(
  files: readonly ListedFile[],
  config: unknown,
  allowance: Allowance,
): Promise<InspectedModel> {
  const lengths = await mapConcurrently(files, READS, async ({ path, content }) =>
    safetensorsHeaderLength(await content.read(0, SAFETENSORS_PREFIX), path),
  );
  const first = firstReadOf(files.length);
  const further = lengths.map((length) => Math.max(0, length + SAFETENSORS_PREFIX - first));
  if (further.reduce((sum, bytes) => sum + bytes, 0) > allowance.left) throw new OutOfReach();
  const headers = await mapConcurrently(files, READS, ({ path, content }) =>
    safetensorsHeaderIn(content, path),
  );
  return describe(safetensorsFacts(headers, config, 0));
}

async function readGguf(files: readonly ListedFile[]): Promise<InspectedModel> {
  const first = firstReadOf(files.length);
  const read = await mapConcurrently(files, READS, async ({ path, content }) => {
    const bytes = await content.read(0, first);
    const head = parseGgufHead(bytes, content.size, path);
    const values = head?.values ?? firstGgufValues(bytes, content.size, path);
    return { values, parameters: head?.parameters };
  });
  const shards = read
    .filter(({ values }) => !isAddition(values))
    .sort((a, b) => splitNumber(a.values) - splitNumber(b.values));
  const [model] = shards;
  if (!model) return {};
  const isCounted = shards.every(({ parameters }) => parameters !== undefined);
  const heads = shards.map(({ values, parameters = 0 }) => ({ values, parameters }));
  const facts = ggufFacts(heads, 0);
  const { values } = model;
  // Heads with a large vocabulary aren't read to their end, where the tensors are.
  const count = isCounted ? facts.parameters : Number(values.get("general.parameter_count") ?? 0);
  const label = asText(values.get("general.size_label"));
  const name = asText(values.get("general.name"));
  const license = licenseId(asText(values.get("general.license")) ?? "");
  return {
    ...(label !== undefined && { parameters: label }),
    ...describe({ ...facts, parameters: count }),
    ...(name !== undefined && { name }),
    ...(license !== undefined && { licenses: [license] }),
  };
}

type GgufValues = GgufHead["values"];

/** Whether it is a projector or an adapter: no model by itself. */
function isAddition(values: GgufValues): boolean {
  return (
    isProjector({ values }) || ["mmproj", "adapter"].includes(String(values.get("general.type")))
  );
}

function splitNumber(values: GgufValues): number {
  return Number(values.get("split.no") ?? 0);
}

/** @param facts with 0 parameters when they weren't counted */
function describe({ architecture, parameters, quantization, contextSize }: ModelFacts) {
  return {
    ...(architecture !== undefined && { architecture }),
    ...(parameters > 0 && { parameters: formatCount(parameters), parameterCount: parameters }),
    ...(quantization !== undefined && { quantization }),
    ...(contextSize !== undefined && { contextSize }),
  };
}

async function readConfig(file: ListedFile | undefined): Promise<unknown> {
  if (!file || file.size > MAX_CONFIG) return undefined;
  try {
    return parseJson(new TextDecoder().decode(await file.content.read(0, file.size)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Failure("content", `${JSON.stringify(file.path)} of the artifact isn't JSON`);
  }
}

/** By the README, where Hugging Face has them, else by the texts beside it. */
async function readLicenses(files: ReadonlyMap<string, ListedFile>): Promise<readonly string[]> {
  const readme = files.get("README.md");
  const named = readme ? licensesOfReadme(await readText(readme)) : [];
  if (named.length > 0) return named;
  const texts = [...files.values()].filter(({ path }) => licenseName.test(path));
  const found = await mapConcurrently(texts.slice(0, MAX_TEXTS), READS, async (file) =>
    licenseOfText(await readText(file)),
  );
  return unique(found.filter((license) => license !== undefined));
}

async function readText({ content }: ListedFile): Promise<string> {
  return new TextDecoder().decode(await content.read(0, TEXT));
}
