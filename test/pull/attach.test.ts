import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { type AttachOptions, attach } from "../../src/pull/attach.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, pushArtifact, startWorld, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
  await pushArtifact(world, world.reference("a/model:v1"), {
    layers: [{ mediaType: "text/plain", content: "weights" }],
  });
});
afterAll(() => world.registry.stop());

const type = "application/spdx+json";

function file(name: string, content: string): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

const run = (paths: readonly string[], options: Partial<AttachOptions> = {}) =>
  attach({
    reference: world.reference("a/model:v1"),
    paths,
    artifactType: type,
    client: world.client,
    ...options,
  });

test("makes a referrer with the files as its layers, titled by their names", async () => {
  const subject = await world.client.resolve(world.reference("a/model:v1"));
  const paths = [file("sbom.spdx.json", "{}"), file("notes", "text")];
  const attached = await run(paths, { annotations: { "org.example.by": "me" } });
  expect(attached).toEqual({
    reference: `${world.registry.host}/a/model@${attached.digest}`,
    digest: attached.digest,
    subject: subject.digest,
  });
  const { tag: _, ...repository } = world.reference("a/model:v1");
  const { manifest } = await world.client.getManifest({ ...repository, digest: attached.digest });
  expect(manifest.content).toMatchObject({
    artifactType: type,
    config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2 },
    layers: [
      {
        mediaType: "application/json",
        digest: digestOf("{}"),
        size: 2,
        annotations: { "org.opencontainers.image.title": "sbom.spdx.json" },
      },
      {
        mediaType: "application/octet-stream",
        digest: digestOf("text"),
        annotations: { "org.opencontainers.image.title": "notes" },
      },
    ],
    subject,
    annotations: { "org.example.by": "me" },
  });
  const [referrer] = await world.client.listReferrers(repository, subject.digest, type);
  expect(referrer).toMatchObject({
    digest: attached.digest,
    artifactType: type,
    annotations: { "org.example.by": "me" },
  });
  // The tag still means the model.
  expect(await world.client.resolve(world.reference("a/model:v1"))).toEqual(subject);
});

test("of the same files is the same, and of a type that is given has that", async () => {
  const first = await run([file("a.txt", "a")], { mediaType: "text/x-report" });
  expect(await run([file("a.txt", "a")], { mediaType: "text/x-report" })).toEqual(first);
  const at = { ...world.reference("a/model"), digest: first.digest };
  const { manifest } = await world.client.getManifest(at);
  expect(manifest.content).toMatchObject({ layers: [{ mediaType: "text/x-report" }] });
});

test("attaches to an attachment", async () => {
  const sbom = await run([file("sbom.json", "[]")]);
  const at = { ...world.reference("a/model"), digest: sbom.digest };
  const signature = await run([file("sbom.sig", "s")], { reference: at });
  expect(signature.subject).toBe(sbom.digest);
});

test("refuses what it can't attach, and to what isn't there", async () => {
  const there = file("there", "x");
  const directory = join(temporaryDirectory(), "folder");
  mkdirSync(directory);
  for (const paths of [["/nowhere/at/all"], [directory], [there, file("there", "y")]]) {
    await failureOf(run(paths), "usage");
  }
  await failureOf(run([there], { artifactType: "nonsense" }), "usage");
  await failureOf(run([there], { mediaType: "a/b/c" }), "usage");
  await failureOf(run([there], { reference: world.reference("a/nothing:v1") }), "not-found");
});

test("gives a file whose ending says nothing the type of any bytes", async () => {
  const attached = await run([file("notes.constructor", "text")]);
  const { tag: _, ...repository } = world.reference("a/model:v1");
  const { manifest } = await world.client.getManifest({ ...repository, digest: attached.digest });
  expect(manifest.content).toMatchObject({ layers: [{ mediaType: "application/octet-stream" }] });
});
