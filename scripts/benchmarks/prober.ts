/** Asks URL/v2/ again and again until its stdin ends, then prints the 99th percentile in ms. */
import { percentile } from "./report.ts";

const url = `${process.argv[2]}/v2/`;
const latencies: number[] = [];
let isOver = false;
Bun.stdin.text().then(() => {
  isOver = true;
});
// The first ones pay for connecting.
for (let i = 0; i < 20; i++) await (await fetch(url)).text();
while (!isOver) {
  const started = performance.now();
  await (await fetch(url)).text();
  latencies.push(performance.now() - started);
  await Bun.sleep(2);
}
process.stdout.write(String(percentile(latencies, 99)));
