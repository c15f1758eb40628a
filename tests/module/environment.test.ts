import { expect, test } from 'bun:test';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { serveCommandOf, serveSettings } from '../../server/settings/serve-settings.ts';
import { webhookCommandOf, webhookSettings } from '../../server/settings/webhook-settings.ts';
import { parseFlags } from '../../server/testing/parse-flags.ts';
import { containerFlags } from '../container-flags.ts';
import { goldenCases } from './golden-cases.ts';

const renderer = await ModuleRenderer.prepare(new Cache());

/** What each prints of flags that it does not accept. */
const programs: Readonly<Record<string, (flags: readonly string[]) => string>> = {
  DaemonSet: (flags) => parseFlags(serveCommandOf('serve'), serveSettings, flags).error,
  Deployment: (flags) => parseFlags(webhookCommandOf('webhook'), webhookSettings, flags).error,
};

for (const { name, values, instance } of await goldenCases('objects')) {
  test(`${name}: server and webhook know each variable and accept its value`, async () => {
    const objects = (await renderer.render(values, instance)).flatMap((set) => set.objects);
    const errors = objects.flatMap((object) => {
      const parse = programs[object.kind];
      return parse === undefined ? [] : [parse(containerFlags(object))];
    });
    expect(errors).toEqual(Object(values['webhook']).enabled === false ? [''] : ['', '']);
  });
}
