import { describe, expect, test } from "bun:test";
import { Width } from "../../../src/pull/engine/width.ts";

/** Lets a transfer run over a link of which a number of lanes gets so many bytes a millisecond. */
function settle(width: Width, rate: (lanes: number) => number, milliseconds = 4000): number {
  for (let now = 0; now <= milliseconds; now += 100) {
    width.observe(now, rate(width.lanes) * 100, width.lanes);
  }
  return width.lanes;
}

const megabyte = 1_000_000 / 1000;

describe("the number of lanes", () => {
  test("grows to all that are allowed where each connection is held to its rate", () => {
    expect(settle(new Width(32, 2), (lanes) => lanes * 50 * megabyte)).toBe(32);
  });

  test("grows faster where twice as many bring twice as much", () => {
    expect(settle(new Width(32, 2), (lanes) => lanes * 50 * megabyte, 1000)).toBe(32);
    expect(settle(new Width(32, 2), (lanes) => lanes ** 0.7 * 50 * megabyte, 1000)).toBe(16);
  });

  test("grows until the link is full, and not further", () => {
    const full = settle(new Width(32, 2), (lanes) => Math.min(400, lanes * 50) * megabyte);
    expect(full).toBe(8);
    const odd = settle(new Width(32, 2), (lanes) => Math.min(1000, lanes * 50) * megabyte);
    expect(odd).toBe(16);
  });

  test("stays where it began when one connection takes all there is", () => {
    expect(settle(new Width(32, 2), () => 900 * megabyte)).toBe(2);
  });

  test("never exceeds what is allowed, not even at the beginning", () => {
    expect(new Width(1, 2).lanes).toBe(1);
    expect(settle(new Width(3, 2), (lanes) => lanes * megabyte)).toBe(3);
  });

  test("isn't judged while fewer lanes are at work", () => {
    const width = new Width(32, 4);
    for (let now = 0; now < 10_000; now += 100) width.observe(now, 1e8, 3);
    expect(width.lanes).toBe(4);
  });

  test("halves for a host that is busy, and stays so for a while", () => {
    const width = new Width(32, 16);
    width.yield(0);
    expect(width.lanes).toBe(8);
    expect(settle(width, (lanes) => lanes * 50 * megabyte)).toBe(8);
    for (let time = 0; time < 5; time++) width.yield(0);
    expect(width.lanes).toBe(1);
  });
});
