import type { ArtifactName } from './release-names.ts';
import { ARTIFACT_NAMES } from './release-names.ts';

/** Who built, and from what. */
export interface Build {
  /** Of the repository of the sources. */
  readonly sourceURL: string;
  /** The whole SHA-1. */
  readonly commit: string;
  /** A URL that identifies the machine and who runs it. */
  readonly builder: string;
  /** The one run. */
  readonly invocation: string;
}

/** What a provenance says that somebody can hold against the artifact. */
export interface Origin {
  readonly artifact: ArtifactName;
  readonly version: string;
  readonly sourceURL: string;
  readonly commit: string;
  readonly builder: string;
}

/** The predicate of SLSA's provenance 1 (https://slsa.dev/spec/v1.1/provenance). */
export function provenance(artifact: ArtifactName, version: string, build: Build): object {
  const source = `git+${build.sourceURL}`;
  return {
    buildDefinition: {
      buildType: `${build.sourceURL}/blob/main/docs/releasing.md#provenance`,
      externalParameters: { artifact, version, source },
      internalParameters: {},
      resolvedDependencies: [{ uri: source, digest: { gitCommit: build.commit } }],
    },
    runDetails: { builder: { id: build.builder }, metadata: { invocationId: build.invocation } },
  };
}

/** What a predicate of {@link provenance} says; undefined for any other. */
export function originOf(predicate: unknown): Origin | undefined {
  const { buildDefinition, runDetails } = Object(predicate) as Record<string, unknown>;
  const { externalParameters, resolvedDependencies } = Object(buildDefinition) as Record<string, unknown>;
  const { artifact, version, source } = Object(externalParameters) as Record<string, unknown>;
  const [dependency] = Array.isArray(resolvedDependencies) ? resolvedDependencies : [];
  const commit: unknown = dependency?.digest?.gitCommit;
  const builder: unknown = (Object(runDetails) as { builder?: { id?: unknown } }).builder?.id;
  const name = ARTIFACT_NAMES.find((each) => each === artifact);
  if (
    name === undefined ||
    typeof version !== 'string' ||
    typeof source !== 'string' ||
    dependency?.uri !== source ||
    typeof commit !== 'string' ||
    !/^[0-9a-f]{40}$/.test(commit) ||
    typeof builder !== 'string'
  ) {
    return undefined;
  }
  return { artifact: name, version, sourceURL: source.replace(/^git\+/, ''), commit, builder };
}

/** What GitHub's attestation action says of a build. */
export interface GithubOrigin {
  readonly sourceURL: string;
  /** The tag or branch that was built, as `refs/tags/v1.2.3`. */
  readonly ref: string;
  readonly commit: string;
  /** The workflow that attests, as `URL@REF`. */
  readonly builder: string;
  /** False if the machine was somebody's own: GitHub does not isolate builds there. */
  readonly isHosted: boolean;
}

/** Undefined if the predicate is of another kind (https://actions.github.io/buildtypes/workflow/v1). */
export function githubOriginOf(predicate: unknown): GithubOrigin | undefined {
  const { buildDefinition, runDetails } = Object(predicate) as Record<string, unknown>;
  const { buildType, externalParameters, internalParameters, resolvedDependencies } = Object(
    buildDefinition,
  ) as Record<string, unknown>;
  const { repository, ref } = Object(Object(externalParameters).workflow) as Record<string, unknown>;
  const [dependency] = Array.isArray(resolvedDependencies) ? resolvedDependencies : [];
  const commit: unknown = dependency?.digest?.gitCommit;
  const builder: unknown = Object(Object(runDetails).builder).id;
  if (
    buildType !== 'https://actions.github.io/buildtypes/workflow/v1' ||
    typeof repository !== 'string' ||
    typeof ref !== 'string' ||
    typeof commit !== 'string' ||
    typeof builder !== 'string'
  ) {
    return undefined;
  }
  const isHosted = Object(Object(internalParameters).github).runner_environment === 'github-hosted';
  return { sourceURL: repository, ref, commit, builder, isHosted };
}

/** Who builds here: the run of a workflow, by the variables that GitHub sets, else a person. */
export function buildHere(
  environment: Readonly<Record<string, string | undefined>>,
  sourceURL: string,
  commit: string,
  randomUUID: () => string,
): Build {
  const { GITHUB_ACTIONS, GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_WORKFLOW_REF } = environment;
  const { GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT } = environment;
  if (GITHUB_ACTIONS !== 'true') {
    const builder = `${sourceURL}/blob/main/docs/releasing.md#by-hand`;
    return { sourceURL, commit, builder, invocation: `urn:uuid:${randomUUID()}` };
  }
  const run = `${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}/attempts/${GITHUB_RUN_ATTEMPT}`;
  return {
    sourceURL,
    commit,
    builder: `${GITHUB_SERVER_URL}/${GITHUB_WORKFLOW_REF}`,
    invocation: `${GITHUB_SERVER_URL}/${run}`,
  };
}
