import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EMPTY_DESCRIPTOR } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { ocireg, type Served, startServe } from "./ocireg.ts";

let served: Served;
let repository: string;
const directory = temporaryDirectory();
const content = "content of a blob\n";
const blob = digestOf(content);
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: OCI_IMAGE_MANIFEST,
  artifactType: "application/x-test",
  config: EMPTY_DESCRIPTOR,
  layers: [{ mediaType: "text/plain", digest: blob, size: content.length }],
});
const manifestDigest = digestOf(manifest);

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

/** What a command that succeeds prints. */
async function result(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await ocireg(words);
  expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: "" });
  return stdout;
}

beforeAll(async () => {
  served = await startServe(["--log-level", "error"]);
  repository = `${served.host}/content/test`;
  expect(await result("blob", "put", repository, file("blob", content))).toBe(
    `${repository}@${blob}\n`,
  );
  await result("blob", "put", repository, file("empty", "{}"));
  expect(await result("manifest", "put", `${repository}:v1`, file("manifest.json", manifest))).toBe(
    `${repository}@${manifestDigest}\n`,
  );
}, 60_000);

afterAll(() => served.stop());

describe("blob", () => {
  test("get writes the content, by either way to name it", async () => {
    expect(await result("blob", "get", repository, blob)).toBe(content);
    expect(await result("blob", "get", `${repository}@${blob}`)).toBe(content);
  });

  test("get into a file prints nothing", async () => {
    const path = join(temporaryDirectory(), "out");
    expect(await result("blob", "get", repository, blob, "-o", path)).toBe("");
    expect(readFileSync(path, "utf8")).toBe(content);
  });

  test("get of content that is damaged exits with 6, and no file appears", async () => {
    const damaged = "damaged content";
    const digest = digestOf(damaged);
    await result("blob", "put", repository, file("damaged", damaged));
    const hex = digest.slice("sha256:".length);
    const data = join(served.root, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    writeFileSync(data, damaged.toUpperCase());
    const out = temporaryDirectory();
    const { code, stdout, stderr } = await ocireg([
      "blob",
      "get",
      repository,
      digest,
      "-o",
      join(out, "file"),
    ]);
    expect({ code, stdout, files: readdirSync(out) }).toEqual({ code: 6, stdout: "", files: [] });
    expect(stderr).toMatch(/^ocireg: [^\n]+\n$/);
  });

  test("head prints digest and size", async () => {
    expect(await result("blob", "head", repository, blob)).toBe(`${blob}\t${content.length}\n`);
    expect(JSON.parse(await result("blob", "head", "--json", repository, blob))).toEqual({
      digest: blob,
      size: content.length,
    });
  });

  test("that isn't there exits with 3", async () => {
    for (const verb of ["get", "head", "delete"]) {
      const { code, stdout, stderr } = await ocireg([
        "blob",
        verb,
        repository,
        digestOf("nothing"),
      ]);
      expect({ verb, code, stdout }).toEqual({ verb, code: 3, stdout: "" });
      expect(stderr).toMatch(/^ocireg: [^\n]+\n$/);
    }
  });

  test("delete takes it away", async () => {
    const path = file("gone", "soon gone");
    await result("blob", "put", repository, path);
    expect(await result("blob", "delete", repository, digestOf("soon gone"))).toBe("");
    expect((await ocireg(["blob", "head", repository, digestOf("soon gone")])).code).toBe(3);
  });
});

describe("manifest", () => {
  test("get writes the exact bytes", async () => {
    expect(await result("manifest", "get", `${repository}:v1`)).toBe(manifest);
    const path = join(temporaryDirectory(), "manifest.json");
    expect(await result("manifest", "get", `${repository}@${manifestDigest}`, "-o", path)).toBe("");
    expect(readFileSync(path, "utf8")).toBe(manifest);
  });

  test("head prints digest, media type and size", async () => {
    expect(await result("manifest", "head", `${repository}:v1`)).toBe(
      `${manifestDigest}\t${OCI_IMAGE_MANIFEST}\t${manifest.length}\n`,
    );
    expect(
      JSON.parse(await result("manifest", "head", "--json", `${repository}:v1`)),
    ).toMatchObject({
      digest: manifestDigest,
      mediaType: OCI_IMAGE_MANIFEST,
      size: manifest.length,
    });
  });

  test("put reads standard input, and refuses what isn't a manifest", async () => {
    const { code, stdout } = await ocireg(["manifest", "put", `${repository}:stdin`, "-"], {
      stdin: manifest,
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${repository}@${manifestDigest}\n` });
    const words = ["manifest", "put", `${repository}:bad`, file("bad", "not JSON")];
    expect((await ocireg(words)).code).toBe(2);
    expect(await ocireg(["manifest", "put", `${repository}:bad`, "/nowhere"])).toEqual({
      code: 3,
      stdout: "",
      stderr: "ocireg: can't read \"/nowhere\": it isn't there\n",
    });
  });

  test("delete takes a tag away", async () => {
    await result("manifest", "put", `${repository}:old`, join(directory, "manifest.json"));
    expect(await result("manifest", "delete", `${repository}:old`)).toBe("");
    expect((await ocireg(["manifest", "head", `${repository}:old`])).code).toBe(3);
    expect(await result("manifest", "get", `${repository}:v1`)).toBe(manifest);
  });
});

describe("lists", () => {
  test("are one item a line", async () => {
    await result("manifest", "put", `${repository}:v2`, join(directory, "manifest.json"));
    expect((await result("tags", "ls", repository)).split("\n")).toEqual(
      expect.arrayContaining(["v1", "v2", ""]),
    );
    expect(await result("repos", "ls", served.host)).toBe("content/test\n");
  });

  test("of referrers show digest, artifact type and size", async () => {
    const referrer = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      artifactType: "application/x-note",
      config: EMPTY_DESCRIPTOR,
      layers: [EMPTY_DESCRIPTOR],
      subject: { mediaType: OCI_IMAGE_MANIFEST, digest: manifestDigest, size: manifest.length },
      annotations: { note: "x" },
    });
    const digest = digestOf(referrer);
    await result("manifest", "put", `${repository}@${digest}`, file("referrer.json", referrer));
    const line = `${digest}\tapplication/x-note\t${referrer.length}\n`;
    expect(await result("referrers", "ls", `${repository}:v1`)).toBe(line);
    expect(await result("referrers", "ls", `${repository}@${manifestDigest}`)).toBe(line);
    expect(
      await result("referrers", "ls", `${repository}:v1`, "--artifact-type", "application/x-other"),
    ).toBe("");
    expect(JSON.parse(await result("referrers", "ls", "--json", `${repository}:v1`))).toMatchObject(
      {
        digest,
        annotations: { note: "x" },
      },
    );
  });
});

describe("standard output", () => {
  test("that nobody reads any more ends a command without a word", async () => {
    const path = join(directory, "large");
    writeFileSync(path, new Uint8Array(8 * 1024 * 1024));
    await result("blob", "put", repository, path);
    const digest = digestOf(new Uint8Array(8 * 1024 * 1024));
    expect(existsSync(path)).toBe(true);
    const { compiledBinary } = await import("../support/binary.ts");
    const script = `"$0" blob get "$1" "$2" | head -c 10 | wc -c; echo "\${PIPESTATUS[0]}"`;
    const child = Bun.spawn(["bash", "-c", script, await compiledBinary(), repository, digest], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ stdout, stderr }).toEqual({ stdout: "10\n0\n", stderr: "" });
  });
});
