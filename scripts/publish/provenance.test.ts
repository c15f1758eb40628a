import { expect, test } from 'bun:test';
import { type Build, buildHere, githubOriginOf, originOf, provenance } from './provenance.ts';

const commit = '0123456789abcdef0123456789abcdef01234567';
const sourceURL = 'https://github.com/owner/name';
const build: Build = { sourceURL, commit, builder: 'https://ci.example.test', invocation: 'urn:run:1' };

test('what a provenance says is read as it was written', () => {
  expect(originOf(provenance('chart', '1.2.3', build))).toEqual({
    artifact: 'chart',
    version: '1.2.3',
    sourceURL,
    commit,
    builder: 'https://ci.example.test',
  });
});

test('anything else has no origin', () => {
  const good = JSON.stringify(provenance('image', '1.2.3', build));
  const bad = [
    good.replace(commit, commit.slice(1)),
    good.replace('"artifact":"image"', '"artifact":"bundle"'),
    good.replace('"version":"1.2.3"', '"version":123'),
    good.replace('"builder"', '"bilder"'),
    // the commit of another dependency is not that of the source
    good.replace(`"uri":"git+${sourceURL}"`, '"uri":"git+https://github.com/owner/other"'),
    good.replace('resolvedDependencies', 'dependencies'),
  ];
  expect(bad.filter((text) => text === good)).toEqual([]);
  for (const text of [...bad, '{}', 'null', '"text"', '[]'])
    expect(originOf(JSON.parse(text))).toBeUndefined();
});

test('a workflow run is recognized by its variables; without them, a person builds', () => {
  const workflow = {
    GITHUB_ACTIONS: 'true',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'owner/name',
    GITHUB_WORKFLOW_REF: 'owner/name/.github/workflows/release.yml@refs/tags/v1.2.3',
    GITHUB_RUN_ID: '42',
    GITHUB_RUN_ATTEMPT: '2',
  };
  expect(buildHere(workflow, sourceURL, commit, () => 'a-uuid')).toEqual({
    sourceURL,
    commit,
    builder: 'https://github.com/owner/name/.github/workflows/release.yml@refs/tags/v1.2.3',
    invocation: 'https://github.com/owner/name/actions/runs/42/attempts/2',
  });
  expect(buildHere({}, sourceURL, commit, () => 'a-uuid')).toEqual({
    sourceURL,
    commit,
    builder: `${sourceURL}/blob/main/docs/releasing.md#by-hand`,
    invocation: 'urn:uuid:a-uuid',
  });
});

test("GitHub's provenance says which repository, tag, commit, workflow and machine", () => {
  const predicate = {
    buildDefinition: {
      buildType: 'https://actions.github.io/buildtypes/workflow/v1',
      externalParameters: {
        workflow: {
          ref: 'refs/tags/v1.2.3',
          repository: 'https://github.com/o/r',
          path: '.github/workflows/release.yml',
        },
      },
      internalParameters: { github: { event_name: 'push', runner_environment: 'github-hosted' } },
      resolvedDependencies: [
        { uri: 'git+https://github.com/o/r@refs/tags/v1.2.3', digest: { gitCommit: 'a'.repeat(40) } },
      ],
    },
    runDetails: {
      builder: { id: 'https://github.com/o/r/.github/workflows/provenance.yml@refs/tags/v1.2.3' },
    },
  };
  expect(githubOriginOf(predicate)).toEqual({
    sourceURL: 'https://github.com/o/r',
    ref: 'refs/tags/v1.2.3',
    commit: 'a'.repeat(40),
    builder: 'https://github.com/o/r/.github/workflows/provenance.yml@refs/tags/v1.2.3',
    isHosted: true,
  });
  const { buildDefinition } = predicate;
  const ownMachine = {
    ...buildDefinition,
    internalParameters: { github: { runner_environment: 'self-hosted' } },
  };
  expect(githubOriginOf({ ...predicate, buildDefinition: ownMachine })).toMatchObject({ isHosted: false });
  expect(
    githubOriginOf({ ...predicate, buildDefinition: { ...buildDefinition, buildType: 'other' } }),
  ).toBeUndefined();
  expect(githubOriginOf({ buildDefinition })).toBeUndefined();
  expect(githubOriginOf(undefined)).toBeUndefined();
});
