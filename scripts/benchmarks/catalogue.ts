/** A page of the catalogue over 100,000 repositories, all in one place or deeply nested. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { limit, median, milliseconds, type Result } from "./report.ts";
import { startOcireg } from "./servers.ts";
import type { Settings } from "./settings.ts";

const repositories = 100_000;
const pageLimit = 10;
/** Milliseconds after which a directory counts as at rest: its listing is kept from then on. */
const rest = 3000;
const number = (value: number) => String(value).padStart(6, "0");

const shapes: Record<string, (index: number) => string> = {
  flat: (index) => `repository-${number(index)}`,
  nested: (index) =>
    `org-${number(Math.floor(index / 1000))}/team-${number(Math.floor(index / 20))}/model-${number(index)}`,
};

export async function measureCatalogue(settings: Settings): Promise<Result[]> {
  const results: Result[] = [];
  for (const [shape, nameOf] of Object.entries(shapes)) {
    const root = join(settings.disk, `catalogue-${shape}`);
    const base = join(root, "docker", "registry", "v2", "repositories");
    for (let i = 0; i < repositories; i++) {
      mkdirSync(join(base, nameOf(i), "_manifests"), { recursive: true });
    }
    await Bun.sleep(rest);
    const server = await startOcireg(root);
    const time = async (query: string) => {
      const started = performance.now();
      const answer = await fetch(`${server.url}/v2/_catalog?${query}`);
      const { repositories: listed } = (await answer.json()) as { repositories: string[] };
      if (listed.length !== 100) throw new Error(`${listed.length} of 100 repositories listed`);
      return performance.now() - started;
    };
    try {
      const what = `catalogue of ${repositories} repositories, ${shape}`;
      const cold = milliseconds(await time("n=100"));
      results.push({ what: `${what}, first request after a change`, ours: cold });
      const middle = nameOf(repositories / 2);
      for (const [page, query] of [
        ["first page", "n=100"],
        ["page in the middle", `n=100&last=${encodeURIComponent(middle)}`],
      ] as const) {
        const times: number[] = [];
        for (let run = 0; run < Math.max(5, settings.runs); run++) times.push(await time(query));
        results.push(limit(`${what}, ${page}`, median(times), milliseconds, pageLimit));
      }
    } finally {
      await server.stop();
    }
  }
  return results;
}
