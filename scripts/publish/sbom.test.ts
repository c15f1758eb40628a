import { expect, test } from 'bun:test';
import { type BilledArtifact, deploymentSbom, imageSbom } from './sbom.ts';

const image: BilledArtifact = {
  name: 'gke-metadata-server',
  version: '1.2.3',
  repository: 'registry.example.test/a/gke-metadata-server',
  digest: `sha256:${'a'.repeat(64)}`,
  created: new Date(1_700_000_000_000),
};
const imageURL = `pkg:oci/gke-metadata-server@sha256:${'a'.repeat(64)}?repository_url=registry.example.test%2Fa%2Fgke-metadata-server`;

const chart = { ...image, repository: 'registry.example.test/a/charts/gke-metadata-server' };

test("an image's: Debian's packages, Bun, and npm's with the checksums of the lock file", () => {
  const bill = imageSbom(image, {
    // of two platforms
    debian: [
      { name: 'libc6', version: '2.41-12+deb13u1', architecture: 'amd64', distribution: 'debian-13' },
      { name: 'ca-certificates', version: '20250419', architecture: 'all', distribution: 'debian-13' },
      { name: 'ca-certificates', version: '20250419', architecture: 'all', distribution: 'debian-13' },
    ],
    npm: [
      {
        name: '@scope/name',
        version: '1.0.0',
        integrity: `sha512-${Buffer.alloc(64, 0xab).toString('base64')}`,
      },
      { name: 'plain', version: '2.0.0', integrity: '' },
    ],
    bun: '1.4.5',
  });
  expect(bill).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    metadata: { timestamp: '2023-11-14T22:13:20.000Z', component: { type: 'container', purl: imageURL } },
  });
  const { components } = bill as {
    components: readonly { readonly purl: string; readonly group?: string }[];
  };
  expect(components.map(({ purl }) => purl).sort()).toEqual([
    'pkg:deb/debian/ca-certificates@20250419?arch=all&distro=debian-13',
    'pkg:deb/debian/libc6@2.41-12+deb13u1?arch=amd64&distro=debian-13',
    'pkg:npm/%40scope/name@1.0.0',
    'pkg:npm/bun@1.4.5',
    'pkg:npm/plain@2.0.0',
  ]);
  expect(components.filter(({ group }) => group === '@scope')).toHaveLength(1);
  expect(JSON.stringify(bill)).toContain(JSON.stringify({ alg: 'SHA-512', content: 'ab'.repeat(64) }));
  expect(JSON.stringify(bill).match(/"hashes"/g)).toHaveLength(1);
});

test('that of what has no program: the image it runs', () => {
  expect(deploymentSbom(chart, image)).toMatchObject({
    components: [{ type: 'container', version: '1.2.3', purl: imageURL }],
  });
});

test('is the same for the same input, so that it can be compared', () => {
  expect(deploymentSbom(chart, image)).toEqual(deploymentSbom(chart, image));
});
