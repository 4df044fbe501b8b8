import type { Settings } from "../config/schema.ts";
import { Failure } from "../lib/failure.ts";
import { type Platform, parsePlatform } from "../oci/descriptor.ts";

/** The platform that `--platform` names. @throws {Failure} `usage` */
export function platformOf({ platform }: Pick<Settings, "platform">): Platform | undefined {
  if (platform === undefined) return undefined;
  const parsed = parsePlatform(platform);
  if (!parsed) {
    throw new Failure(
      "usage",
      `--platform is ${JSON.stringify(platform)}, want OS/ARCH or OS/ARCH/VARIANT`,
    );
  }
  return parsed;
}
