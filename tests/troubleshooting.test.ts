import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { STEP_TITLES } from '../server/explain/explanation.ts';

const ROOT = join(import.meta.dir, '..');
/** The words of programs that are not ours. */
const OF_OTHERS = [
  'Connection refused',
  'Could not resolve host',
  'is forbidden: User',
  'dry-run failed: no matches for kind',
  'timeout waiting for: [',
  'client rate limiter Wait',
  'namespaces "…" not found',
  // Google's
  'API has not been used in project',
  // the API server's
  'failed calling webhook',
  // the API server's, which tests/api-server/pod-resources.test.ts has it say
  'exceeded quota:',
  'must specify limits.cpu for: init-network',
  'cpu usage per Container is',
  'must be greater than or equal to aggregate container requests of',
  'pod updates may not change fields',
];
/** Placeholders in the page for values in the sources. */
const VALUE =
  /…|NAMESPACE\/POD|NODE|ADDRESS|init-network|http:\S+|iam\.serviceAccounts\.\w+|access token;|IAM returned 404 Not Found:|azure\.workload\.identity\/\w+-id/;

const guide = await Bun.file(join(ROOT, 'docs/troubleshooting.md')).text();

async function sources(): Promise<string> {
  const texts: string[] = [];
  for await (const path of new Bun.Glob('server/**/*.ts').scan(ROOT)) {
    if (!path.endsWith('.test.ts')) texts.push(await Bun.file(join(ROOT, path)).text());
  }
  texts.push(await Bun.file(join(ROOT, 'scripts/kubectl-gke_metadata')).text());
  return texts.join('\n').replaceAll("\\'", "'");
}

test('the texts that the guide explains are the ones that are shown', async () => {
  const shown = await sources();
  const texts = [...guide.matchAll(/^### .*?`(.+?)`/gm)].flatMap(([, text]) => text ?? []);
  expect(texts.length).toBeGreaterThan(20);
  const fragments = texts
    .filter((text) => !OF_OTHERS.some((words) => text.startsWith(words)))
    .flatMap((text) => text.split(VALUE))
    .map((fragment) => fragment.trim())
    .filter((fragment) => fragment.length > 3);
  expect(fragments.filter((fragment) => !shown.includes(fragment))).toEqual([]);
});

test('the example has every step under its name', () => {
  const [example = ''] = guide.match(/^ok {11}Pod[^`]*?(?=\n\n)/m) ?? [];
  const titles = example.split('\n').map((line) => line.slice(13, 29).trim());
  const ofGoogle = Object.entries(STEP_TITLES).filter(([step]) => !/^(aws|azure)-/.test(step));
  expect(titles).toEqual(ofGoogle.map(([, title]) => title));
});
