import { describe, expect, test } from "bun:test";
import { formatAddress, isLoopback, parseAddress, unmapped } from "../../src/lib/address.ts";

describe("addresses", () => {
  test.each([
    ["127.0.0.1:5000", "127.0.0.1", 5000],
    ["localhost:0", "localhost", 0],
    [":5000", "", 5000],
    ["[::1]:5000", "::1", 5000],
    ["[fe80::1%eth0]:80", "fe80::1%eth0", 80],
  ])("%s is read, and written back", (text, host, port) => {
    const address = parseAddress(text);
    expect(address).toEqual({ host, port });
    expect(address && formatAddress(address)).toBe(text);
  });

  test.each(["", "5000", "host", "host:", "host:65536", "::1:5000", "a b:1", "http://h:1"])(
    "%p isn't an address",
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  test("loopback is what other machines can't reach", () => {
    expect(["127.0.0.1", "127.8.9.10", "::1", "localhost"].every(isLoopback)).toBe(true);
    expect(["", "0.0.0.0", "::", "10.0.0.1", "127.example.org"].some(isLoopback)).toBe(false);
  });

  test("of IPv4 are shown as such where IPv6 carries them", () => {
    expect(unmapped("::ffff:127.0.0.1")).toBe("127.0.0.1");
    for (const address of ["10.0.0.1", "::1", "::ffff:7f00:1", "2001:db8::ffff:1.2.3.4"]) {
      expect(unmapped(address)).toBe(address);
    }
  });
});
