/** Questions to the endpoints of clouds, which each say no in a language of their own. */
import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Failure } from "../../../lib/failure.ts";
import { parseErrors } from "../../../oci/errors.ts";
import { ConnectionError } from "../../connection-error.ts";
import { failureOf, kindOf, printable } from "../../errors.ts";
import { type HttpRequest, readBody, type Send } from "../../http.ts";

export interface Question extends Pick<HttpRequest, "method" | "url" | "headers" | "body"> {
  /** `can't get credentials for a.example from the metadata server` */
  readonly what: string;
  /** What the answer may repeat, and no message shows. */
  readonly secrets?: readonly string[];
}

const MAX_ANSWER = 128 * 1024;
const MAX_COMPLAINT = 300;

/** Milliseconds in which an address that only clouds have must answer. */
const PROBE_TIMEOUT = 1000;

/**
 * The text of a successful answer.
 *
 * @throws {Failure} `unauthorized`: the endpoint says no; `network`; `content`: an answer too long
 */
export async function askText(send: Send, question: Question): Promise<string> {
  const { what, secrets = [], ...request } = question;
  try {
    const answer = await send({ ...request, bodyLimit: MAX_ANSWER });
    const body = await readBody(answer, MAX_ANSWER);
    const host = answer.url.host;
    if (!body) throw new Failure("content", `${what}: ${host} sent more than ${MAX_ANSWER} bytes`);
    const text = new TextDecoder().decode(body);
    if (answer.status === 200) return text;
    const kind = kindOf(answer.status) === "network" ? "network" : "unauthorized";
    const said = complaint(text, secrets);
    throw new Failure(kind, `${what}: ${host} answered ${answer.status}${said && ` ${said}`}`);
  } catch (error) {
    if (error instanceof ConnectionError) throw await failureOf(what, error);
    throw error;
  }
}

/** The same, of JSON. @throws {Failure} also `content`: JSON of another kind */
export async function askJson<T extends TSchema>(
  send: Send,
  schema: T,
  question: Question,
): Promise<Static<T>> {
  const text = await askText(send, question);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The check says it.
  }
  if (Value.Check(schema, json)) return json;
  throw new Failure(
    "content",
    `${question.what}: ${question.url.host} answered with something else than expected`,
  );
}

/**
 * What an address answers that only machines of one cloud have, asked once and with little patience;
 * undefined when nothing does.
 */
export async function probe(
  send: Send,
  request: Pick<HttpRequest, "method" | "url" | "headers">,
): Promise<{ status: number; headers: Headers; text: string } | undefined> {
  try {
    const answer = await send({ ...request, retry: false, answerTimeout: PROBE_TIMEOUT });
    const text = new TextDecoder().decode(await readBody(answer, MAX_ANSWER));
    return { status: answer.status, headers: answer.headers, text };
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
}

/** A form, as OAuth's token endpoints take it. */
export function form(fields: Readonly<Record<string, string>>): Pick<Question, "headers" | "body"> {
  return {
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new TextEncoder().encode(new URLSearchParams(fields).toString()),
  };
}

/** Code and words of an error: a registry's, OAuth's, AWS's or a metadata server's. */
function complaint(text: string, secrets: readonly string[]): string {
  const { code, message } = readJsonError(text) ?? readXmlError(text);
  // AWS shows what it expected to have been signed: a token may stand in it.
  const isSafe = !secrets.some((secret) => secret !== "" && message.includes(secret));
  return printable([code, isSafe ? message : ""].filter(Boolean).join(": "), MAX_COMPLAINT);
}

interface EndpointError {
  readonly code: string;
  readonly message: string;
}

function readJsonError(text: string): EndpointError | undefined {
  const [own] = parseErrors(text);
  if (own) return { code: own.code, message: own.message ?? "" };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const first = (...names: string[]): string => {
    const found = names.map((name) => (json as Record<string, unknown> | null)?.[name]);
    return found.find((value) => typeof value === "string") ?? "";
  };
  return {
    code: first("error", "__type", "code", "Code").replace(/^.*#/, ""),
    message: first("error_description", "message", "Message"),
  };
}

function readXmlError(text: string): EndpointError {
  const element = (name: string) => new RegExp(`<${name}>([^<]{1,2000})</${name}>`).exec(text)?.[1];
  return { code: element("Code") ?? "", message: element("Message") ?? "" };
}
