import { describe, expect, test } from "bun:test";
import { type Content, SNIFF_LENGTH, sniff } from "../../src/model/sniff.ts";
import { tar } from "../pull/tar.ts";
import { ggufFile, tensorFile } from "./fixtures.ts";

describe("the first bytes of a file", () => {
  test.each<[Content | undefined, Uint8Array]>([
    ["safetensors", tensorFile({ a: 1 })],
    ["gguf", ggufFile({})],
    ["tar", tar({ name: "config.json", content: "{}" })],
    [undefined, new TextEncoder().encode('{"a": "a JSON text of some length"}')],
    [undefined, new TextEncoder().encode("PK\x03\x04")],
    [undefined, new Uint8Array()],
    [undefined, new Uint8Array(9).fill(0x7b)],
  ])("tell %p", (expected, bytes) => {
    expect(sniff(bytes.subarray(0, SNIFF_LENGTH))).toBe(expected);
  });
});
