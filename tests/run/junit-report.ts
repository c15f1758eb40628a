interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** The totals of bun test's JUnit report, undefined if it has none. A skipped test is in neither. */
export function countsOf(report: string): Counts | undefined {
  const root = /<testsuites\b[^>]*>/.exec(report)?.[0];
  if (root === undefined) return undefined;
  const total = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(root)?.[1]);
  const failed = total('failures');
  const passed = total('tests') - failed - total('skipped');
  return Number.isNaN(passed) ? undefined : { passed, failed };
}

/** The test files that bun test's JUnit report names, each once, as paths in the repository. */
export function filesOf(report: string): readonly string[] {
  return [...new Set([...report.matchAll(/ file="([^"]+)"/g)].map(([, file = '']) => file))];
}
