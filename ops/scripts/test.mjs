// `npm test` after set-up: lint and types, then every test but the long ones; totals last.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const node = (args, options = {}) => spawnSync(process.execPath, args, { stdio: 'inherit', ...options }).status === 0;
const MESSAGE_LINES = 12;
const folder = mkdtempSync(join(tmpdir(), 'headwater-test-'));
const totals = { passed: 0, failed: 0, skipped: 0 };
const brokenSteps = [];
/** Name and first lines of each failed test: said once more at the end, where they are looked for. */
const failures = [];

for (const [name, args] of [
  ['biome', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']],
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['types of player', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'player']],
  ['types of dashboard', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'dashboard']],
]) {
  process.stdout.write(`\n== ${name}\n`);
  if (!node(args)) brokenSteps.push(name);
}

for (const project of ['unit', 'integration', 'timing', 'e2e', 'fault']) {
  process.stdout.write(`\n== ${project} tests\n`);
  const report = join(folder, `${project}.json`);
  const isGreen = node([
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    '--passWithNoTests=false',
  ]);
  const counted = count(report);
  if (!isGreen && counted.failed === 0) brokenSteps.push(`${project} tests`);
}
rmSync(folder, { recursive: true, force: true });

/** Adds a report of vitest to the totals. */
function count(report) {
  const found = { passed: 0, failed: 0, skipped: 0 };
  try {
    const json = JSON.parse(readFileSync(report, 'utf8'));
    found.passed = json.numPassedTests;
    found.failed = json.numFailedTests;
    found.skipped = json.numPendingTests + json.numTodoTests;
    failures.push(...json.testResults.flatMap(failuresOf));
  } catch (error) {
    brokenSteps.push(`a test report is missing (${error.message})`);
  }
  for (const key of Object.keys(totals)) totals[key] += found[key];
  return found;
}

/** @param file one entry of vitest's testResults: a file that did not load has a message and no tests */
function failuresOf(file) {
  const failed = file.assertionResults.filter((test) => test.status === 'failed');
  const found = failed.map((test) => [test.fullName, test.failureMessages.join('\n')]);
  if (file.message && failed.length === 0) found.push(['', file.message]);
  return found.map(([name, message]) => `${relative('.', file.name)} ${name}\n${indented(message)}`);
}

function indented(message) {
  const lines = message.split('\n').slice(0, MESSAGE_LINES);
  return lines.map((line) => `    ${line}`).join('\n');
}

for (const failure of failures) process.stdout.write(`\nfailed: ${failure}\n`);
if (brokenSteps.length > 0) process.stdout.write(`\nfailed: ${brokenSteps.join(', ')}\n`);
process.stdout.write(
  `\n${totals.passed} passed, ${totals.failed + brokenSteps.length} failed, ${totals.skipped} skipped\n`,
);
process.exit(totals.failed + brokenSteps.length > 0 ? 1 : 0);
