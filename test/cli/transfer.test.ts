import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { archiveLimits } from "../../src/cli/transfer.ts";
import { loadSettings } from "../../src/config/load.ts";
import { DOCKER_CONFIG_TAR, DOCKER_CONFIG_V01 } from "../../src/model/docker.ts";
import { formatReference, type Reference } from "../../src/oci/reference.ts";
import { DEFAULT_LIMITS } from "../../src/pull/unpack/limits.ts";
import { pushArtifact, startWorld, type World } from "../pull/fixtures.ts";
import { tar } from "../pull/tar.ts";
import { ocireg } from "./world.ts";

describe("the limits on archives", () => {
  let world: World;
  let reference: Reference;
  beforeAll(async () => {
    world = await startWorld();
    reference = world.reference("user/model:v1");
    const content = tar({ name: "config.json", content: "{}" }, { name: "vocab.txt" });
    await pushArtifact(world, reference, {
      configType: DOCKER_CONFIG_V01,
      layers: [{ mediaType: DOCKER_CONFIG_TAR, content }],
    });
  });
  afterAll(() => world.registry.stop());

  test("are by default those of the engine", () => {
    const names = Object.keys(DEFAULT_LIMITS) as (keyof typeof DEFAULT_LIMITS)[];
    expect(archiveLimits(loadSettings(names, { flags: {}, env: {} }))).toEqual(DEFAULT_LIMITS);
  });

  test.each(["pull", "resolve"])("hold for %s, with exit code 6 and a way out", async (command) => {
    const cache = ["--cache-dir", world.newCache().root];
    const run = (most: string) =>
      ocireg([command, formatReference(reference), ...cache, "--max-archive-entries", most]);
    const { code, stdout, stderr } = await run("1");
    expect({ code, stdout }).toEqual({ code: 6, stdout: "" });
    expect(stderr).toContain("more entries than the 1 that are allowed; if you trust it");
    expect((await run("2")).code).toBe(0);
  });
});
