import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tokenFileCommandOf } from '../server/settings/token-file-settings.ts';
import { webhookCommandOf } from '../server/settings/webhook-settings.ts';

const ROOT = join(import.meta.dir, '..');
const guide = await Bun.file(join(ROOT, 'docs/clouds/google-to-aws.md')).text();

async function sources(...folders: readonly string[]): Promise<string> {
  const texts = folders.flatMap((folder) =>
    [...new Bun.Glob(`server/${folder}/**/*.ts`).scanSync(ROOT)].map((path) =>
      Bun.file(join(ROOT, path)).text(),
    ),
  );
  return (await Promise.all(texts)).join('\n');
}

/** The first cells of the rows below a heading cell. */
function cells(heading: string): string[] {
  const [, table = ''] =
    new RegExp(`^\\| ${heading} \\|.*\\n\\|[-|]+\\n((?:\\|.*\\n)+)`, 'm').exec(guide) ?? [];
  return [...table.matchAll(/^\| (.*?) \|/gm)].map(([, cell = '']) => cell);
}

test('the texts of failures are those that are shown', async () => {
  const shown = await sources('token-file', 'commands');
  const texts = [...guide.matchAll(/^### `(.+?)`/gm)].map(([, text = '']) => text);
  expect(texts).toHaveLength(4);
  const fragments = texts
    .flatMap((text) => text.split(/…|\(…\)|\/var\S+/))
    .map((fragment) => fragment.replace(/[()]/g, '').trim())
    .filter((fragment) => fragment.length > 3);
  expect(fragments.filter((fragment) => !shown.includes(fragment))).toEqual([]);
});

test('labels, annotations, containers, variables and paths are those of the injection', async () => {
  const injection = await sources('admission/injections', 'google');
  const named = [
    ...cells('variable'),
    ...cells('added').filter((cell) => cell.includes('`')),
    '`admission.token-injector/enabled`',
    '`amazonaws.com/role-arn`',
    '`iam.gke.io/gcp-service-account`',
    '`/var/run/secrets/aws/token`',
  ].map((cell) => /`(.+?)`/.exec(cell)?.[1] ?? cell);
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((name) => !injection.includes(`'${name}'`))).toEqual([]);
  expect(named.filter((name) => !guide.includes(name))).toEqual([]);
});

test('the audience of the trust policies is the one that the token is requested for', async () => {
  const terraform = await Bun.file(join(ROOT, 'docs/terraform/google-to-aws/main.tf')).text();
  const audience = tokenFileCommandOf('token-file').options.find(({ long }) => long === '--audience');
  const inPolicies = [...`${guide}${terraform}`.matchAll(/"(token-injector\/[^"]+)"/g)].map(
    ([, value]) => value,
  );
  expect(inPolicies).toEqual(Array(2).fill(audience?.defaultValue));
});

test('the flag exists', () => {
  const flags = webhookCommandOf('webhook').options.map(({ long }) => long);
  const [, flag = ''] = /`(--[a-z-]+)=true`/.exec(guide) ?? [];
  expect<unknown>(flags).toContain(flag);
});
