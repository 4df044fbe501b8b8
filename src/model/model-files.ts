/** What the files of a model's directory are, by their names. */
import { Failure } from "../lib/failure.ts";
import { checkedFilePath, PathSet } from "./path.ts";
import { isCompleteModel, isConsolidated } from "./planned-file.ts";

export type FileKind =
  | "weights"
  /** What makes a language model see: GGUF too, but no model by itself. */
  | "projector"
  | "config"
  | "template"
  | "code"
  | "document"
  | "license";

/** What opens the weights, in the words of the formats' configs. */
export type WeightFormat = "safetensors" | "gguf" | "dduf" | "onnx" | "pt";

export interface NamedFile {
  /** Relative to the model's directory. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

export interface SurveyedFile extends NamedFile {
  readonly kind: FileKind;
}

export interface ModelSurvey {
  /** Undefined for weights that nobody here reads. */
  readonly format: WeightFormat | undefined;
  /** The weights of one model, in shard order: their headers describe it. */
  readonly weights: readonly string[];
  /** What is worth packing: weights first, then what loaders read, then what people read. */
  readonly files: readonly SurveyedFile[];
  /** A second copy of the weights, which a pull would leave out too. */
  readonly copies: readonly string[];
}

/** Bytes beyond which a file of no known kind must be weights. */
const SURELY_WEIGHTS = 128 * 1024 * 1024;

const licenseName = /^(?:licen[cs]e|copying|notice)(?:[-._].*)?$/i;
const weightName =
  /\.(?:safetensors|gguf|ggml|bin|pt|pth|pte|ckpt|onnx|onnx_data\w*|ot|h5|msgpack|tflite|pb|npz|dduf|engine|llamafile|mlmodel)$/i;
const tokenizerName = /^(?:vocab|merges|added_tokens)\.txt$/i;
const codeName = /\.(?:py|sh|ipynb|js|ts|c|cc|cpp|h|hpp|cu|rs|go|java|lua)$/i;
const documentName =
  /(?:^readme.*|\.(?:md|txt|rst|pdf|html?|csv|png|jpe?g|gif|svg|webp|mp4|mp3|wav))$/i;
const noiseName =
  /^(?:\..*|__pycache__|.*\.py[cod]|.*~|.*\.(?:incomplete|tmp|part|swp)|thumbs\.db|desktop\.ini)$/i;

/** The order in which kinds are packed. */
const order: readonly FileKind[] = [
  "weights",
  "projector",
  "config",
  "template",
  "code",
  "document",
  "license",
];

/** Whether a file or folder of this name is no part of a model: hidden, compiled, half-written. */
export function isNoise(name: string): boolean {
  return noiseName.test(name);
}

export function kindOf({ path, size }: NamedFile): FileKind {
  const name = nameOf(path);
  if (isProjector(path)) return "projector";
  if (weightName.test(name)) return "weights";
  if (licenseName.test(name)) return "license";
  if (name.endsWith(".jinja")) return "template";
  if (tokenizerName.test(name)) return "config";
  if (codeName.test(name)) return "code";
  if (documentName.test(name)) return "document";
  return size > SURELY_WEIGHTS ? "weights" : "config";
}

/**
 * Finds the model in a list of files.
 *
 * @throws {Failure} `usage` when there are no weights, or two kinds of them; `content` for names
 *   that a pull would refuse
 */
export function surveyModel(files: readonly NamedFile[]): ModelSurvey {
  const names = new PathSet();
  for (const { path } of files) names.addFile(checkedFilePath(path, "the model"), "the model");

  const isComplete = isCompleteModel(files.map(({ path }) => path));
  const isCopy = ({ path }: NamedFile) => isComplete && isConsolidated(path);
  const kept = files.filter((file) => !isCopy(file));
  const surveyed = kept
    .map(({ path, size }) => ({ path, size, kind: kindOf({ path, size }) }))
    .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || (a.path < b.path ? -1 : 1));
  const weights = surveyed.filter(({ kind }) => kind === "weights").map(({ path }) => path);
  return {
    ...findWeights(weights),
    files: surveyed,
    copies: files.filter(isCopy).map(({ path }) => path),
  };
}

/** @param paths of all weights, sorted */
function findWeights(paths: readonly string[]): Pick<ModelSurvey, "format" | "weights"> {
  const [any] = paths;
  if (any === undefined) {
    throw new Failure("usage", "there are no weights: want *.safetensors or *.gguf");
  }
  const top = paths.filter((path) => !path.includes("/"));
  for (const candidates of [top, paths]) {
    const safetensors = candidates.filter((path) => path.endsWith(".safetensors"));
    const gguf = candidates.filter((path) => path.endsWith(".gguf"));
    if (safetensors.length > 0 && gguf.length > 0) {
      throw new Failure(
        "usage",
        `there are both safetensors and GGUF files (${safetensors[0]}, ${gguf[0]}): push one kind, or one file`,
      );
    }
    if (safetensors.length > 0) return { format: "safetensors", weights: safetensors };
    if (gguf.length > 0) return { format: "gguf", weights: splitsOf(gguf[0] ?? "", gguf) };
  }
  return { format: formatOf(any), weights: paths };
}

function formatOf(path: string): WeightFormat | undefined {
  if (/\.(?:bin|pt|pth|ckpt)$/i.test(path)) return "pt";
  if (/\.onnx$/i.test(path)) return "onnx";
  return /\.dduf$/i.test(path) ? "dduf" : undefined;
}

/** Of `paths`, those that are of one file with `path`: it alone, unless it is a shard. */
export function splitsOf(path: string, paths: readonly string[]): string[] {
  const shard = shardOf(path);
  if (!shard) return [path];
  return paths.filter((other) => {
    const { stem, end } = shardOf(other) ?? {};
    return stem === shard.stem && end === shard.end;
  });
}

/** What a name like `x-00001-of-00002.gguf` says of the set that it is in. */
export function shardOf(
  path: string,
): { readonly stem: string; readonly count: number; readonly end: string } | undefined {
  const match = /^(.*)-\d{5}(-of-(\d{5})\.(?:gguf|safetensors))$/.exec(path);
  return match ? { stem: match[1] ?? "", count: Number(match[3]), end: match[2] ?? "" } : undefined;
}

function isProjector(path: string): boolean {
  const name = nameOf(path).toLowerCase();
  return name.includes("mmproj") && /\.(?:gguf|mmproj)$/.test(name);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
