/** A 200 with a JSON body, whose length a HEAD tells too. */
export function jsonResponse(
  content: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = JSON.stringify(content);
  return new Response(body, {
    headers: {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      ...headers,
    },
  });
}
