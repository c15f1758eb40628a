import { expect, test } from 'bun:test';
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '..');
const TESTDATA = join(ROOT, 'server/admission/testdata');
/** Placeholders in the page for values in the sources. */
const VALUE =
  /\(?…\)?|DIRECTORY|NAMESPACE|ADDRESS|\(?\b(?:200|404:|503:)|\d+ s\b|; retry|(?:Namespace|ServiceAccount) (?=NAMESPACE)|KEY of ServiceAccount|\/NAME|"VALUE"/;

const guide = await Bun.file(join(ROOT, 'docs/webhook.md')).text();
const sections = guide.split(/^#+ /m);

function section(heading: string): string {
  return sections.find((one) => one.startsWith(`${heading}\n`)) ?? '';
}

function yamlIn(heading: string): unknown[] {
  return [...section(heading).matchAll(/^```yaml\n(.*?)^```/gms)].map(([, yaml = '']) =>
    Bun.YAML.parse(yaml),
  );
}

async function manifest(path: string): Promise<unknown> {
  return Bun.YAML.parse(await Bun.file(join(TESTDATA, path)).text());
}

test('the Pods before and after are those of the golden cases', async () => {
  expect(yamlIn('Redirect')).toEqual([await manifest('plain/pod.yaml'), await manifest('plain/want.yaml')]);
  // the case's shape is checked by the webhook's own tests
  const { spec } = (await manifest('environment/want.yaml')) as { spec: { containers: unknown } };
  expect(yamlIn('Environment')).toEqual([{ containers: spec.containers }]);
});

test('the texts of failures are the ones that are shown', async () => {
  const files = ['admission', 'commands', 'network'].flatMap((folder) =>
    [...new Bun.Glob(`server/${folder}/**/*.ts`).scanSync(ROOT)].filter((path) => !path.endsWith('.test.ts')),
  );
  const shown = (await Promise.all(files.map((path) => Bun.file(join(ROOT, path)).text()))).join('\n');
  const headings = ['What it says when it fails', 'When the webhook itself fails', 'Certificates'];
  const texts = headings.flatMap((heading) =>
    [...section(heading).matchAll(/`([^`]+)`/g)].flatMap(([, text = '']) => (text.includes(' ') ? text : [])),
  );
  expect(texts.length).toBeGreaterThan(12);
  const fragments = texts
    // the API server's own words
    .filter((text) => text !== 'failed calling webhook')
    .flatMap((text) => text.split(VALUE))
    .map((fragment) => fragment.trim())
    .filter((fragment) => fragment.length > 3);
  expect(fragments.filter((fragment) => !shown.includes(fragment))).toEqual([]);
});
