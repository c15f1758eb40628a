import { expect, test } from 'bun:test';
import { join } from 'node:path';

/** What these tests read of a workflow (https://docs.github.com/actions/reference/workflow-syntax). */
interface Workflow {
  readonly permissions?: unknown;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly permissions?: Readonly<Record<string, string>>;
        readonly 'timeout-minutes'?: number;
        /** Of a job that another workflow of this repository is. */
        readonly uses?: string;
        readonly steps?: readonly { readonly uses?: string; readonly run?: string }[];
      }
    >
  >;
}

const folder = join(import.meta.dir, '../.github/workflows');
const names = [...new Bun.Glob('*.yml').scanSync(folder)].sort();
const texts = new Map(
  await Promise.all(names.map(async (name) => [name, await Bun.file(join(folder, name)).text()] as const)),
);

test.each(names)('%s uses nothing that another can change, with no more rights than it names', (name) => {
  const workflow = Bun.YAML.parse(texts.get(name) ?? '') as Workflow;
  expect(workflow.permissions).toEqual({});
  for (const { permissions, steps = [], ...job } of Object.values(workflow.jobs)) {
    expect(permissions).toBeDefined();
    if (job.uses === undefined) expect(job['timeout-minutes']).toBeNumber();
    else expect(job.uses).toBe('./.github/workflows/provenance.yml');
    const actions = steps.map(({ uses }) => uses).filter((uses) => uses !== undefined);
    expect(actions.filter((uses) => !/^[\w-]+(\/[\w-]+)+@[0-9a-f]{40}$/.test(uses))).toEqual([]);
    // what others write, such as the name of a branch, comes by the environment, never into a shell's text
    expect(steps.filter(({ run }) => run?.includes('${{'))).toEqual([]);
  }
});

test('only the job that makes the release page may write to the repository', () => {
  const { jobs } = Bun.YAML.parse(texts.get('release.yml') ?? '') as Workflow;
  const rights = Object.entries(jobs).map(([name, { permissions }]) => [name, permissions]);
  expect(Object.fromEntries(rights)).toEqual({
    publish: { contents: 'read', packages: 'write', 'id-token': 'write' },
    provenance: { contents: 'read', packages: 'write', 'id-token': 'write', attestations: 'write' },
    page: { contents: 'write' },
  });
});

test('what signs the provenance runs none of the repository, and only when it is called', () => {
  const { on, jobs } = Bun.YAML.parse(texts.get('provenance.yml') ?? '') as Workflow & {
    readonly on: object;
  };
  expect(Object.keys(on)).toEqual(['workflow_call']);
  const steps = Object.values(jobs).flatMap((job) => job.steps ?? []);
  expect(steps.map(({ uses }) => uses?.split('@')[0])).toEqual([undefined, 'actions/attest']);
  expect(steps[0]?.run).toStartWith('echo "$TOKEN" | docker login ');
});
