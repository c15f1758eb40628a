import { describe, expect, test } from 'bun:test';
import { warnOfLocation } from './location-warning.ts';

const ZONE = 'topology.kubernetes.io/zone';

/** What is logged of a Node with these labels, that is known after it was looked for twice. */
async function logged(labels: Record<string, string>, clusterLocation = ''): Promise<object[]> {
  const lines: object[] = [];
  let looked = 0;
  await warnOfLocation(
    {
      settings: { clusterLocation },
      node: () => (++looked < 3 ? undefined : { labels }),
      effects: { sleep: async () => {} },
      log: { warn: (fields, message) => lines.push({ ...fields, message }) },
    },
    new AbortController().signal,
  );
  return lines;
}

describe('the location of the cluster', () => {
  test('that nobody has named is warned of once, with what to set', async () => {
    expect(await logged({})).toEqual([
      {
        location: 'unknown-location',
        message: 'the location of the cluster is unknown',
        remedy: expect.stringContaining('--cluster-location'),
      },
    ]);
  });

  test('that clients take for neither a region nor a zone is warned of', async () => {
    const message = 'the location of the cluster is neither a region nor a zone';
    expect(await logged({ [ZONE]: 'nova' })).toMatchObject([{ location: 'nova', message }]);
    expect(await logged({ [ZONE]: 'europe-west1-b' }, 'attic')).toMatchObject([
      { location: 'attic', message },
    ]);
  });

  test('that is a zone or a region is no reason for a word', async () => {
    expect(await logged({ [ZONE]: 'eu-west-1a' })).toEqual([]);
    expect(await logged({}, 'europe-west1')).toEqual([]);
  });

  test('is no longer waited for once the server ends', async () => {
    const ending = new AbortController();
    const options = {
      settings: { clusterLocation: '' },
      node: () => undefined,
      effects: { sleep: () => Promise.reject(new Error('aborted')) },
      log: { warn: () => expect.unreachable() },
    };
    await warnOfLocation(options, ending.signal);
  });
});
