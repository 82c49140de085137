// Where the full forms of the live tests keep what they measured.
import { ground, keepResult } from '../../bench/support/report.ts';

/** Writes bench/results/{name}.json with the machine, the versions and the command. */
export async function keepFigures(name: string, file: string, figures: unknown): Promise<void> {
  const command = `npx vitest run --project long ${file}`;
  const path = await keepResult(name, { name, at: new Date().toISOString(), command, ...ground(), figures });
  process.stderr.write(`kept in ${path}\n`);
}
