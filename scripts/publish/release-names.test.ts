import { expect, test } from 'bun:test';
import { isLatest, isReleaseVersion } from './release-names.ts';

test('a version is a semantic one that a tag may be', () => {
  const good = ['0.1.0', '1.2.3', '10.20.30', '1.0.0-rc.1', '1.0.0-0alpha', '1.0.0--'];
  const bad = [
    'v1.2.3',
    '1.2',
    '01.2.3',
    '1.2.3+build',
    '1.0.0-01',
    '1.0.0-',
    '1.2.3 ',
    'latest',
    '../1.2.3',
    '',
  ];
  expect(good.filter((version) => !isReleaseVersion(version))).toEqual([]);
  expect(bad.filter(isReleaseVersion)).toEqual([]);
});

test('latest is the newest release, whenever it was made', () => {
  expect(isLatest('1.10.0', ['1.9.0', '1.2.0', 'latest', 'sha256-abc'])).toBe(true);
  expect(isLatest('1.9.1', ['1.9.0', '1.10.0'])).toBe(false);
  expect(isLatest('1.9.1', ['1.9.0', '1.10.0-rc.1'])).toBe(true);
  expect(isLatest('2.0.0-rc.1', ['1.9.0'])).toBe(false);
  expect(isLatest('1.0.0', ['1.0.0'])).toBe(true);
});
