/** What `auth check` found out, for people: where a credential comes from, and never the secret. */
import { oneLine } from "../../lib/one-line.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import type { AccessReport } from "../../registry/client.ts";
import type { Credential } from "../../registry/credentials/credential.ts";
import { table } from "./table.ts";

/** What the registry said, as a word for programs and as a sentence. */
export function describeAnswer({ failure, isAccepted, found }: AccessReport): {
  word: string;
  sentence: string;
} {
  if (!failure && isAccepted) return { word: "accepted", sentence: "accepted" };
  if (!failure) {
    const sentence = found.credential
      ? "open to everybody: the credential isn't needed, and wasn't tried"
      : "open to everybody";
    return { word: "open", sentence };
  }
  if (failure.kind === "unauthorized") return { word: "refused", sentence: "refused" };
  if (failure.kind !== "not-found") return { word: "failed", sentence: "none that can be used" };
  return isAccepted
    ? { word: "not-found", sentence: "accepted, but there is no such manifest" }
    : { word: "not-found", sentence: "not found, or hidden from us" };
}

export function renderAccess(reference: Reference, report: AccessReport): string[] {
  const { credential, source, asked } = report.found;
  const sought = asked.map(({ source, reason }) => `${source}: ${reason ?? "has it"}`);
  return table([
    ["Reference", formatReference(reference)],
    ["Credential", credential ? describe(credential) : "none"],
    ...(source === undefined ? [] : [["Source", source]]),
    ...sought.map((line, index) => [index === 0 ? "Sought in" : "", oneLine(line)]),
    ["Answer", describeAnswer(report).sentence],
  ]);
}

function describe(credential: Credential): string {
  if (credential.kind === "identity") return "an identity token";
  if (credential.kind === "bearer") return "a registry token";
  return `user ${oneLine(credential.username)} and a password`;
}
