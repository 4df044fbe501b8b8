/** Certificates for tests, made by openssl. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runChecked } from "./programs.ts";
import { temporaryDirectory } from "./temp.ts";

/** A self-signed certificate, its own authority. Paths of PEM files. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** @param names subject alternative names: `DNS:registry.test`, `IP:127.0.0.1` */
export async function makeCertificate(...names: string[]): Promise<TestCertificate> {
  const directory = temporaryDirectory();
  const certificate = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  await runChecked([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-subj", "/CN=test", "-addext", `subjectAltName=${names.join()}`],
    ...["-keyout", certificate.key, "-out", certificate.cert],
  ]);
  return certificate;
}

/** What `Bun.serve` wants of it. */
export function tlsOf({ cert, key }: TestCertificate): { cert: string; key: string } {
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}
