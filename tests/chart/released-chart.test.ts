import { expect, test } from 'bun:test';
import { minimalValues } from '../../scripts/module/config-fields.ts';
import { referenceOf } from '../../scripts/module/released-image.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { Helm, RefusedByHelm } from './helm.ts';

const MINUTE = 60_000;
const image = {
  repository: 'registry.example.com/released/gke-metadata-server',
  tag: '1.2.3',
  digest: `sha256:${'a'.repeat(64)}`,
};
const instance = { name: 'gke-metadata-server', namespace: 'gke-metadata-server', moduleVersion: '1.2.3' };
const { settings } = minimalValues;

test(
  "a release's chart runs its image by digest if the user names none, and refuses half of another",
  async () => {
    await using helm = await Helm.prepare(await goProgram('helm', new Cache()), image);
    const images = async (values: object) => {
      const text = JSON.stringify(await helm.template({ settings, ...values }, instance));
      return [...new Set(text.match(/registry\.example\.com[^"]*|mirror\.example\.com[^"]*/g))];
    };
    expect(await images({})).toEqual([referenceOf(image)]);
    const mirror = { repository: 'mirror.example.com/a/b' };
    expect(await images({ image: mirror })).toEqual([referenceOf({ ...image, ...mirror })]);
    expect(await images({ image: { ...mirror, tag: 'own', digest: '' } })).toEqual([
      `${mirror.repository}:own`,
    ]);

    const half = helm.template({ settings, image: { tag: 'own' } }, instance);
    await expect(half).rejects.toBeInstanceOf(RefusedByHelm);
    await expect(half).rejects.toThrow(
      'image.tag is own, and image.digest still that of 1.2.3: set image.digest too, or to "" to go by the tag alone',
    );
  },
  20 * MINUTE,
);
