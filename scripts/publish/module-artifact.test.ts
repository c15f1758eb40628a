import { expect, test } from 'bun:test';
import { readStamp, stamp } from './module-artifact.ts';

const image = {
  repository: 'registry.example.test/a/gke-metadata-server',
  tag: '1.2.3',
  digest: `sha256:${'a'.repeat(64)}`,
};

test('the image of a stamp is read as it was written', () => {
  expect(readStamp(stamp(image))).toEqual(image);
});

test('a stamp without one of its three parts names no image', () => {
  for (const name of ['repository', 'tag', 'digest']) {
    expect(readStamp(stamp(image).replace(new RegExp(`\t${name}: .*`), ''))).toBeUndefined();
  }
  expect(readStamp('package config\n\n_released: {\n\ttag:    ""\n\tdigest: ""\n}\n')).toBeUndefined();
});
