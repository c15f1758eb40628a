import { expect, test } from 'bun:test';
import { type BunLock, productionPackages } from './packages.ts';

const lock: BunLock = {
  workspaces: { '': { dependencies: { '@scope/direct': '^1.0.0', plain: '^1.0.0' } } },
  packages: {
    '@scope/direct': [
      '@scope/direct@1.0.0',
      '',
      {
        dependencies: { shared: '^2.0.0', plain: '^1.0.0' },
        optionalDependencies: { 'not-for-this-machine': '1' },
        peerDependencies: { peer: '*', 'not-asked-for': '*' },
        optionalPeers: ['not-asked-for'],
      },
      'sha512-direct',
    ],
    '@scope/direct/shared': ['shared@2.0.0', '', { dependencies: { leaf: '^2.0.0' } }, 'sha512-shared2'],
    '@scope/direct/leaf': ['leaf@2.0.0', '', {}, 'sha512-leaf2'],
    plain: ['plain@1.0.0', '', { dependencies: { shared: '^1.0.0' } }, 'sha512-plain'],
    shared: ['shared@1.0.0', '', { dependencies: { leaf: '^1.0.0', plain: '1' } }, 'sha512-shared1'],
    leaf: ['leaf@1.0.0', '', {}, 'sha512-leaf1'],
    peer: ['peer@1.0.0', '', {}, 'sha512-peer'],
    'not-asked-for': ['not-asked-for@1.0.0', '', {}, 'sha512-not'],
    'for-development': ['for-development@1.0.0', '', {}, 'sha512-development'],
  },
};

test('what dependencies bring, by the version that each of them gets', () => {
  expect(productionPackages(lock).map(({ name, version }) => `${name}@${version}`)).toEqual([
    '@scope/direct@1.0.0',
    'leaf@1.0.0',
    'leaf@2.0.0',
    'peer@1.0.0',
    'plain@1.0.0',
    'shared@1.0.0',
    'shared@2.0.0',
  ]);
  expect(productionPackages(lock).at(0)).toEqual({
    name: '@scope/direct',
    version: '1.0.0',
    integrity: 'sha512-direct',
  });
});
