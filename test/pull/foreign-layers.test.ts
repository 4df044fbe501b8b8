import { afterAll, beforeAll, expect, test } from "bun:test";
import { DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../src/model/docker.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { pull } from "../../src/pull/pull.ts";
import { failureOf, startWorld, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

test("a layer isn't fetched from the URLs that a manifest names", async () => {
  const asked: string[] = [];
  const text = "from elsewhere";
  const elsewhere = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      asked.push(request.url);
      return new Response(text);
    },
  });
  try {
    const reference = world.reference("user/foreign:v1");
    const config = { mediaType: DOCKER_CONFIG_V01, digest: digestOf("{}"), size: 2 };
    await world.client.pushBlob(reference, config, () => Buffer.from("{}"));
    const layer = {
      mediaType: DOCKER_LICENSE,
      digest: digestOf(text),
      size: text.length,
      urls: [`http://127.0.0.1:${elsewhere.port}/layer`],
    };
    const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] };
    const bytes = Buffer.from(JSON.stringify(manifest));
    await world.client.putManifest(reference, bytes, OCI_IMAGE_MANIFEST);
    const { client } = world;
    await failureOf(pull({ reference, client, cache: world.newCache() }), "not-found");
    expect(asked).toEqual([]);
  } finally {
    await elsewhere.stop(true);
  }
});
