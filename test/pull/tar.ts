/** Tar archives made by hand, valid or not. */

export interface Entry {
  readonly name: string;
  /** One character. @default "0", a file */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly linkname?: string;
  /** @default 0o644 */
  readonly mode?: number;
  /** What the size field says, instead of the content's size. */
  readonly size?: string;
  /** Raw bytes of the name field, instead of `name`. */
  readonly rawName?: Uint8Array;
}

export function tar(...entries: Entry[]): Uint8Array {
  return concat(...entries.map(tarEntry), new Uint8Array(1024));
}

/** A header block and the padded content. */
export function tarEntry(entry: Entry): Uint8Array {
  const { name, type = "0", content = "", linkname = "", mode = 0o644, size, rawName } = entry;
  const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const block = new Uint8Array(512);
  const put = (offset: number, text: string) => block.set(new TextEncoder().encode(text), offset);
  if (rawName) block.set(rawName, 0);
  else put(0, name.slice(0, 100));
  put(100, `${octal(mode, 7)}\0`);
  put(108, `${octal(1000, 7)}\0`);
  put(116, `${octal(1000, 7)}\0`);
  put(124, size ?? `${octal(body.byteLength, 11)}\0`);
  put(136, `${octal(1_700_000_000, 11)}\0`);
  put(156, type);
  put(157, linkname.slice(0, 100));
  put(257, "ustar\x0000");
  put(148, "        ");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 6)}\0 `);
  return concat(block, body, new Uint8Array(-body.byteLength & 511));
}

/** A PAX header with the records for the next entry. */
export function pax(records: Readonly<Record<string, string>>, type = "x"): Uint8Array {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + Buffer.byteLength(rest) !== length) length++;
    return `${length}${rest}`;
  });
  return tarEntry({ name: "PaxHeader", type, content: lines.join("") });
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
