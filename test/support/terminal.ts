/** A program on a pseudo-terminal of its own, and what its screen shows. */
import { Screen } from "./screen.ts";

export interface TerminalRun {
  readonly screen: Screen;
  /** Everything that the program sent. */
  sent(): string;
  /** Types: `\u0003` is Ctrl-C. */
  type(keys: string): void;
  /** Resizes while nothing is on its way: what was drawn for another width would be misjudged. */
  resize(columns: number, rows: number): Promise<void>;
  /** Resolves when the screen, as one text, matches. */
  until(pattern: RegExp): Promise<void>;
  readonly exited: Promise<number>;
}

/** @param env replaces our environment */
export function runOnTerminal(
  command: readonly string[],
  env: Record<string, string | undefined>,
  columns = 80,
  rows = 24,
): TerminalRun {
  const screen = new Screen(columns, rows);
  let sent = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([...command], {
    env,
    terminal: {
      cols: columns,
      rows,
      data(_terminal, data) {
        const text = decoder.decode(data, { stream: true });
        sent += text;
        screen.write(text);
      },
    },
  });
  const { terminal } = child;
  if (!terminal) throw new Error("there is no pseudo-terminal");
  return {
    screen,
    sent: () => sent,
    type: (keys) => void terminal.write(keys),
    async resize(width, height) {
      for (let length = -1; length !== sent.length; await Bun.sleep(60)) length = sent.length;
      screen.resize(width, height);
      terminal.resize(width, height);
    },
    async until(pattern) {
      while (!pattern.test(screen.text().join("\n"))) {
        if (child.exitCode !== null) throw new Error(`it ended, and showed:\n${sent}`);
        await Bun.sleep(5);
      }
    },
    exited: child.exited.then(async (code) => {
      // What it said last may still be on its way.
      for (let length = -1; length !== sent.length; await Bun.sleep(20)) length = sent.length;
      terminal.close();
      return code;
    }),
  };
}
