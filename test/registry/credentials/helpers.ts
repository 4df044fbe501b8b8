/** Credential helpers: real programs on a PATH of their own. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../support/temp.ts";

export interface TestHelpers {
  /** What makes them found: the environment of a client whose HOME is empty. */
  readonly env: Record<string, string>;
  /** Writes `docker-credential-NAME`, a shell script, in place of what had the name. */
  write(name: string, script: string): void;
  /** One that keeps what it is given in files, as a keychain does. */
  writeKeychain(name: string): void;
  /** What all of them were asked: `get a.example`. */
  asked(): string[];
}

export function makeHelpers(config: Record<string, unknown> = {}): TestHelpers {
  const root = temporaryDirectory();
  const log = join(root, "asked");
  const programs = join(root, "bin");
  mkdirSync(programs);
  writeFileSync(log, "");
  writeFileSync(join(root, "config.json"), JSON.stringify(config));
  const write = (name: string, script: string) => {
    const path = join(programs, `docker-credential-${name}`);
    writeFileSync(path, `#!/bin/sh\ninput=$(cat)\necho "$1 $input" >> ${log}\n${script}\n`);
    chmodSync(path, 0o755);
  };
  return {
    env: { HOME: root, DOCKER_CONFIG: root, PATH: `${programs}:/usr/bin:/bin` },
    write,
    writeKeychain(name) {
      const kept = join(root, name);
      write(
        name,
        [
          `case "$1" in`,
          `store) echo "$input" > ${kept} ;;`,
          `erase) rm ${kept} ;;`,
          `get) cat ${kept} 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;`,
          `esac`,
        ].join("\n"),
      );
    },
    asked: () => readFileSync(log, "utf8").split("\n").filter(Boolean),
  };
}

/** A script that answers as a helper that has this. */
export function answering(username: string, secret: string): string {
  return `echo '${JSON.stringify({ ServerURL: "x", Username: username, Secret: secret })}'`;
}
