import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dir, '..');

/** As GitHub makes anchors of headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('every link from one page of the documentation to another leads somewhere', async () => {
  const broken: string[] = [];
  let links = 0;
  const pages = ['*.md', 'docs/**/*.md'].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]);
  for (const page of pages) {
    const markdown = await Bun.file(join(ROOT, page)).text();
    for (const [, link = ''] of markdown.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      links += 1;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
      const leads =
        existsSync(target) &&
        (anchor === undefined || anchorsOf(await Bun.file(target).text()).includes(anchor));
      if (!leads) broken.push(`${page}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(10);
});
