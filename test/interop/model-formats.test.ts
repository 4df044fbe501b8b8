/** Artifacts of other people's programs, pulled as models. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { contents } from "../pull/fixtures.ts";
import { compiledBinary } from "../support/binary.ts";
import { type MadeModel, makeModel } from "../support/model.ts";
import { requireTool, runChecked } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { clientProgram, containerStorage } from "./client.ts";

/** A Python that has the package oras; `.ci/run` makes it. */
const python = "ocireg-test-python";

describe("a model that was pushed by", () => {
  let registry: Serving;
  let work: string;
  let made: MadeModel;
  let model: Record<string, string>;

  beforeAll(async () => {
    registry = await startServing();
    work = temporaryDirectory();
    made = await makeModel(join(work, "tiny"));
    model = contents(join(work, "tiny"));
  });

  afterAll(() => registry?.stop());

  async function pulled(reference: string): Promise<{ format: string; files: typeof model }> {
    const words = ["pull", reference, "--json", "--cache-dir", temporaryDirectory()];
    const { format, path } = JSON.parse(await runChecked([await compiledBinary(), ...words]));
    return { format, files: contents(path) };
  }

  /** As they are in a folder of the model. */
  function within(folder: string): typeof model {
    return Object.fromEntries(
      Object.entries(model).map(([path, content]) => [`${folder}/${path}`, content]),
    );
  }

  testWith(python, "the Python client of ORAS as files has every byte", async () => {
    const reference = `${registry.host}/oras/files:v1`;
    const script = join(import.meta.dir, "oras-push.py");
    await runChecked([requireTool(python), script, reference, ...made.files], {
      cwd: join(work, "tiny"),
    });
    expect(await pulled(reference)).toEqual({ format: "oras", files: model });
  });

  testWith(python, "the Python client of ORAS as a directory has every byte", async () => {
    const reference = `${registry.host}/oras/directory:v1`;
    const script = join(import.meta.dir, "oras-push.py");
    await runChecked([requireTool(python), script, reference, "tiny"], { cwd: work });
    expect(await pulled(reference)).toEqual({ format: "oras", files: within("tiny") });
  });

  testWith("buildah", "buildah as an image has every byte, compressed in any way", async () => {
    const buildah = clientProgram("buildah", containerStorage());
    await makeModel(join(buildah.home, "models"));
    symlinkSync("config.json", join(buildah.home, "models/model.file"));
    const container = await buildah("from", "scratch");
    await buildah("copy", container, "models", "/models");
    await buildah("commit", "--rm", container, "model");
    for (const compression of ["gzip", "zstd"]) {
      const reference = `${registry.host}/images/tiny:${compression}`;
      const flags = ["--tls-verify=false", `--compression-format=${compression}`];
      await buildah("push", ...flags, "model", `docker://${reference}`);
      expect(await pulled(reference)).toEqual({
        format: "image",
        files: { ...model, "model.file": model["config.json"] ?? "" },
      });
    }
  });
});
