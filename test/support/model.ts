/** A small model that is true to form: sharded safetensors with everything that lies beside them. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

export interface ModelOptions {
  /** @default 2 */
  shards?: number;
  /** Bytes of tensor data in each shard, rounded down to whole tensors of 1 KiB. @default 65536 */
  bytesPerShard?: number;
  /** The same seed makes the same bytes. @default 1 */
  seed?: number;
}

export interface MadeModel {
  /** File names in the directory, sorted. */
  readonly files: string[];
  /** The weight files in shard order. */
  readonly shards: string[];
  /** Bytes of all files. */
  readonly size: number;
}

interface TensorEntry {
  dtype: "BF16";
  shape: [number, number];
  data_offsets: [number, number];
}

const rowBytes = 1024;
const chunkBytes = 4 * 1024 * 1024;

/** Writes a model into `directory`, which is created when it isn't there. */
export async function makeModel(
  directory: string,
  { shards = 2, bytesPerShard = 65536, seed = 1 }: ModelOptions = {},
): Promise<MadeModel> {
  await mkdir(directory, { recursive: true });
  const sizes = new Map<string, number>();
  const write = async (name: string, text: string) => {
    sizes.set(name, await Bun.write(join(directory, name), text));
  };

  const weightMap: Record<string, string> = {};
  const shardNames: string[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const name = shardName(shard, shards);
    const tensors = layOutTensors(shard, bytesPerShard);
    for (const tensor of Object.keys(tensors)) weightMap[tensor] = name;
    sizes.set(name, await writeShard(join(directory, name), tensors, seed + shard));
    shardNames.push(name);
  }
  if (shards > 1) {
    const totalSize = Math.floor(bytesPerShard / rowBytes) * rowBytes * shards;
    await write(
      "model.safetensors.index.json",
      json({ metadata: { total_size: totalSize }, weight_map: weightMap }),
    );
  }
  for (const [name, text] of Object.entries(companions(shards))) await write(name, text);

  return {
    files: [...sizes.keys()].sort(),
    shards: shardNames,
    size: [...sizes.values()].reduce((sum, size) => sum + size, 0),
  };
}

function shardName(shard: number, shards: number): string {
  if (shards === 1) return "model.safetensors";
  const count = (n: number) => String(n).padStart(5, "0");
  return `model-${count(shard + 1)}-of-${count(shards)}.safetensors`;
}

/** Two tensors a shard, named as those of a Llama: attention and feed-forward weights. */
function layOutTensors(shard: number, bytes: number): Record<string, TensorEntry> {
  const rows = Math.floor(bytes / rowBytes);
  const first = Math.ceil(rows / 2);
  const entry = (from: number, to: number): TensorEntry => ({
    dtype: "BF16",
    shape: [to - from, rowBytes / 2],
    data_offsets: [from * rowBytes, to * rowBytes],
  });
  return {
    [`model.layers.${shard}.mlp.down_proj.weight`]: entry(0, first),
    [`model.layers.${shard}.self_attn.q_proj.weight`]: entry(first, rows),
  };
}

/** safetensors: the header's length (u64, little endian), the header padded with spaces, data. */
async function writeShard(
  path: string,
  tensors: Record<string, TensorEntry>,
  seed: number,
): Promise<number> {
  const text = JSON.stringify({ __metadata__: { format: "pt" }, ...tensors });
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.byteLength), true);
  const dataBytes = Math.max(...Object.values(tensors).map((tensor) => tensor.data_offsets[1]));

  const writer = Bun.file(path).writer();
  writer.write(length);
  writer.write(header);
  const random = randomWords(seed);
  for (let offset = 0; offset < dataBytes; offset += chunkBytes) {
    writer.write(random(Math.min(chunkBytes, dataBytes - offset)));
    await writer.flush();
  }
  await writer.end();
  return 8 + header.byteLength + dataBytes;
}

/** Bytes that don't compress and are the same for a seed (xorshift32). Lengths: multiples of 4. */
function randomWords(seed: number): (bytes: number) => Uint8Array {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return (bytes) => {
    const words = new Uint32Array(bytes / 4);
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    return new Uint8Array(words.buffer);
  };
}

function companions(layers: number): Record<string, string> {
  const vocabulary = { "<unk>": 0, "<s>": 1, "</s>": 2, "▁hello": 3, "▁world": 4 };
  return {
    "config.json": json({
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_size: rowBytes / 2,
      num_hidden_layers: layers,
      num_attention_heads: 8,
      max_position_embeddings: 2048,
      vocab_size: Object.keys(vocabulary).length,
      torch_dtype: "bfloat16",
    }),
    "generation_config.json": json({ bos_token_id: 1, eos_token_id: 2, max_length: 2048 }),
    "tokenizer.json": json({
      version: "1.0",
      added_tokens: [],
      model: { type: "WordLevel", vocab: vocabulary, unk_token: "<unk>" },
    }),
    "tokenizer_config.json": json({
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: "<s>",
      eos_token: "</s>",
      unk_token: "<unk>",
    }),
    "special_tokens_map.json": json({ bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" }),
    "chat_template.jinja": "{% for message in messages %}{{ message.content }}{% endfor %}\n",
    LICENSE: "This model was made by a program, for tests. Do with it what you like.\n",
  };
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
