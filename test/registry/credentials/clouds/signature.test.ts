import { describe, expect, test } from "bun:test";
import { signedHeaders } from "../../../../src/registry/credentials/clouds/signature.ts";

/** What all of AWS's published vectors ("Signature Version 4 test suite") share. */
const keys = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const scope = {
  region: "us-east-1",
  service: "service",
  date: new Date("2015-08-30T12:36:00Z"),
};
const url = new URL("https://example.amazonaws.com/");
const sessionToken =
  "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

function authorization(
  method: string,
  {
    headers = {},
    body = "",
    token,
  }: { headers?: Record<string, string>; body?: string; token?: string } = {},
): string | undefined {
  const request = { method, url, headers, body: new TextEncoder().encode(body) };
  return signedHeaders(request, { ...keys, sessionToken: token }, scope)["authorization"];
}

const credential =
  "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";

describe("signedHeaders", () => {
  test("signs as the vector get-vanilla", () => {
    expect(authorization("GET")).toBe(
      `${credential}, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31`,
    );
  });

  test("signs as the vector post-vanilla", () => {
    expect(authorization("POST")).toBe(
      `${credential}, SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b`,
    );
  });

  test("signs as the vector get-header-value-trim", () => {
    const headers = { "my-header1": " value1", "my-header2": ' "a   b   c"' };
    expect(authorization("GET", { headers })).toBe(
      `${credential}, SignedHeaders=host;my-header1;my-header2;x-amz-date, Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736`,
    );
  });

  test("signs as the vector post-x-www-form-urlencoded", () => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    expect(authorization("POST", { headers, body: "Param1=value1" })).toBe(
      `${credential}, SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a`,
    );
  });

  test("signs as the vector post-sts-header-before", () => {
    expect(authorization("POST", { token: sessionToken })).toBe(
      `${credential}, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead`,
    );
  });

  test("gives the headers to send, without the host, which fetch writes", () => {
    const request = {
      method: "POST",
      url,
      headers: { "x-amz-target": "t" },
      body: new Uint8Array(),
    };
    const headers = signedHeaders(request, { ...keys, sessionToken: "s" }, scope);
    expect(Object.keys(headers).sort()).toEqual([
      "authorization",
      "x-amz-date",
      "x-amz-security-token",
      "x-amz-target",
    ]);
    expect(headers["x-amz-date"]).toBe("20150830T123600Z");
  });
});
