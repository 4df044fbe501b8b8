/**
 * Which licences a model is under, as SPDX expressions: by the head of its README.md, which is where
 * Hugging Face has it, and by the texts that lie beside it.
 */

/** Hugging Face's names of licences that SPDX has, where they differ in more than case. */
const spdxNames = new Map(
  Object.entries({
    "agpl-3.0": "AGPL-3.0-only",
    bsd: "BSD-2-Clause",
    "cc-by-nc-nd-3.0": "CC-BY-NC-ND-3.0",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    gpl: "GPL-1.0-or-later",
    lgpl: "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
    gfdl: "GFDL-1.1-or-later",
    "apache-2.0": "Apache-2.0",
    "artistic-2.0": "Artistic-2.0",
    wtfpl: "WTFPL",
    zlib: "Zlib",
    unlicense: "Unlicense",
    "bsl-1.0": "BSL-1.0",
    "ms-pl": "MS-PL",
    "etalab-2.0": "etalab-2.0",
  }),
);
/** Families whose SPDX name is the same in capitals. */
const inCapitals =
  /^(?:mit|isc|ncsa|mit-0|cc0-1\.0|(?:cc-by|odbl|pddl|ofl|osl|epl|eupl|mpl|afl|ecl)\b[a-z0-9.-]*)$/;

/** What only one licence says, in a text without line breaks. */
const texts: readonly (readonly [RegExp, string])[] = [
  [/Apache License,? Version 2\.0/i, "Apache-2.0"],
  [/Permission is hereby granted, free of charge, to any person obtaining a copy/, "MIT"],
  [/GNU AFFERO GENERAL PUBLIC LICENSE Version 3/i, "AGPL-3.0-only"],
  [/GNU LESSER GENERAL PUBLIC LICENSE Version 3/i, "LGPL-3.0-only"],
  [/GNU GENERAL PUBLIC LICENSE Version 3/i, "GPL-3.0-only"],
  [/GNU GENERAL PUBLIC LICENSE Version 2/i, "GPL-2.0-only"],
  [/Mozilla Public License Version 2\.0/i, "MPL-2.0"],
  [/Neither the name of .{1,200} nor the names of (?:its|other) contributors/i, "BSD-3-Clause"],
  [/Redistribution and use in source and binary forms/i, "BSD-2-Clause"],
  [/Attribution-NonCommercial-ShareAlike 4\.0 International/i, "CC-BY-NC-SA-4.0"],
  [/Attribution-NonCommercial 4\.0 International/i, "CC-BY-NC-4.0"],
  [/Attribution-ShareAlike 4\.0 International/i, "CC-BY-SA-4.0"],
  [/Attribution 4\.0 International/i, "CC-BY-4.0"],
];

/** Characters of a README's head, and of a licence, that are looked at. */
const MAX_HEAD = 64 * 1024;
/** Characters of a licence's name that are looked at. */
const MAX_NAME = 200;

/**
 * The licences that the head of a README names, between its two lines `---`: YAML, of which only what
 * is needed is read.
 */
export function licensesOfReadme(text: string): string[] {
  const [, head] = /^\ufeff?---\r?\n([\s\S]*?)\r?\n---/.exec(text.slice(0, MAX_HEAD)) ?? [];
  if (head === undefined) return [];
  const [name] = valuesOf(head, "license_name");
  const licenses = valuesOf(head, "license").map((license) =>
    license.toLowerCase() === "other" ? (name ?? "") : license,
  );
  return unique(licenses.flatMap((license) => licenseId(license) ?? []));
}

/** The SPDX expression for what a packer or Hugging Face calls a licence; undefined for nothing. */
export function licenseId(text: string): string | undefined {
  const name = text.trim().slice(0, MAX_NAME);
  const lower = name.toLowerCase();
  const known = spdxNames.get(lower) ?? (inCapitals.test(lower) ? lower.toUpperCase() : undefined);
  if (known !== undefined) return known;
  if (/^bsd-\d-clause(?:-clear)?$/.test(lower)) {
    return lower.replace(/^bsd/, "BSD").replace("clause", "Clause").replace("clear", "Clear");
  }
  const id = name
    .replace(/[^A-Za-z0-9.-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 100);
  return id === "" || /^(?:unknown|other|none)$/i.test(id) ? undefined : `LicenseRef-${id}`;
}

/** The licence whose text this is, where it is one of the usual ones. */
export function licenseOfText(text: string): string | undefined {
  const flat = text.slice(0, MAX_HEAD).replace(/\s+/g, " ");
  return texts.find(([pattern]) => pattern.test(flat))?.[1];
}

/** The texts of a key at the top: one in its line, or a list in the lines below or in brackets. */
function valuesOf(yaml: string, key: string): string[] {
  const lines = yaml.split(/\r?\n/);
  const at = lines.findIndex((line) => line.startsWith(`${key}:`));
  if (at < 0) return [];
  const rest = plain(lines[at]?.slice(key.length + 1) ?? "");
  if (rest.startsWith("["))
    return rest
      .replace(/^\[|\]$/g, "")
      .split(",")
      .map(plain);
  if (rest !== "") return [rest];
  const values: string[] = [];
  for (const line of lines.slice(at + 1)) {
    const [, item] = /^\s*-\s+(.*)$/.exec(line) ?? [];
    if (item === undefined) break;
    values.push(plain(item));
  }
  return values;
}

/** Without quotes and comment. */
function plain(text: string): string {
  const comment = text.search(/\s#/);
  return text
    .slice(0, comment < 0 ? undefined : comment)
    .trim()
    .replace(/^(["'])(.*)\1$/, "$2");
}

export function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
