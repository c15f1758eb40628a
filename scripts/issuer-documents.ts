import { stat } from 'node:fs/promises';
import { Command, Option } from '@commander-js/extra-typings';
import { systemEffects } from '../server/core/effects.ts';
import { type KeptKeys, makeDocuments } from './issuer/documents.ts';
import { discoveryURL, parseIssuer, requireSameIssuer } from './issuer/issuer-url.ts';
import { comparePublished } from './issuer/published.ts';
import { uploadLines } from './issuer/upload.ts';
import { writeDocuments } from './issuer/write-documents.ts';
import { readClusterIssuer } from './provider/cluster-issuer.ts';
import { Failure } from './provider/failure.ts';
import { run as runProgram } from './run.ts';
import { BAD_USE, callerPath, runScript } from './script.ts';

// in the caller's folder: paths of kubeconfigs are relative to it
const cwd = callerPath('.');
const run = (program: readonly string[]) => runProgram(program, { cwd });
const tell = (line: string) => console.error(line);

interface Options {
  readonly issuer: string;
  readonly output: string;
  readonly keep?: readonly string[];
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly check: boolean;
}

const command = new Command('scripts/issuer-documents')
  .description(
    'For a cluster whose API server no cloud can reach: writes what a cloud reads of an issuer, the discovery document ' +
      "and the cluster's public keys, as files to upload to a public bucket. --check reads them there and compares " +
      'them with the cluster. Both contain only what is public. It runs kubectl.\n\n' +
      `Exit codes: 0 written, or equal; 1 failed, or different (--check); ${BAD_USE} bad use.`,
  )
  .requiredOption(
    '--issuer <url>',
    'the public URL of the bucket, which kube-apiserver has as --service-account-issuer',
    parseIssuer,
  )
  .addOption(
    new Option('--output <folder>', 'where to write the files')
      .argParser(callerPath)
      .default(callerPath('issuer'), 'issuer'),
  )
  .addOption(
    new Option(
      '--keep <file>',
      'a JWKS with keys to publish too, though the cluster does not have them (repeatable)',
    )
      .argParser((file: string, files: readonly string[] | undefined) => [...(files ?? []), callerPath(file)])
      .conflicts('check'),
  )
  .option('--kubeconfig <file>', "kubectl's: the cluster")
  .option('--context <name>', "kubectl's: the cluster")
  .addOption(
    new Option('--check', 'compare what is served at the URL with the cluster, and write nothing').default(
      false,
    ),
  );

async function readKept(file: string): Promise<KeptKeys> {
  const kind = await stat(file).catch(() => undefined);
  if (kind?.isFile()) return { file, text: await Bun.file(file).text() };
  throw new Failure(`cannot read ${file}: it is not a file.`, 'Name a JWKS with --keep.');
}

async function main({ issuer, output, keep = [], kubeconfig, context, check }: Options): Promise<void> {
  const kubectlFlags = [
    ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
    ...(context === undefined ? [] : [`--context=${context}`]),
  ];
  const cluster = await readClusterIssuer(run, kubectlFlags);
  tell(`the cluster: ${cluster.issuer}, keys ${cluster.keys.map(({ kid }) => kid).join(', ')}`);
  requireSameIssuer(issuer, cluster);
  if (check) {
    tell(`reading ${discoveryURL(issuer)}`);
    const { differences, notes } = await comparePublished(systemEffects.fetch, cluster);
    for (const note of notes) tell(`note: ${note}`);
    for (const difference of differences) console.log(difference);
    if (differences.length > 0) process.exitCode = 1;
    else tell('the documents are public, and those of the cluster');
    return;
  }
  const { documents, keys, notes } = await makeDocuments(cluster, await Promise.all(keep.map(readKept)));
  for (const line of await writeDocuments(output, issuer, documents, keys)) tell(line);
  for (const note of notes) tell(`note: ${note}`);
  for (const line of uploadLines(issuer, output)) console.log(line);
  tell(`then check them: scripts/issuer-documents --issuer=${issuer} --check`);
}

await runScript(command.action(main));
