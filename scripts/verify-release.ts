import {
  certificateSigner,
  KEY_OPTION,
  parseRegistry,
  releaseCommand,
  releaseTools,
  type SignerOptions,
} from './publish/release-command.ts';
import { provenanceIdentity } from './publish/release-names.ts';
import { verifyRelease } from './publish/verification.ts';
import { callerKey, runScript } from './script.ts';
import { Cache } from './tools/cache.ts';

const command = releaseCommand('scripts/verify-release')
  .description(
    "Verifies a published release: that its image, module, manifests and chart are signed by the project's own " +
      'workflow, or the owner of a key; that each has a signed bill of materials and provenance, of this version and of ' +
      'one commit; that every blob is what its digest says; that module, chart and manifests run the signed image. One ' +
      'line each; exit code 1 if a check fails. Its tools, crane and cosign, are compiled by Go if the cache ' +
      'folder (XDG_CACHE_HOME) lacks them: some five minutes.',
  )
  .requiredOption('--registry <host/path>', "the release's registry", parseRegistry)
  .option(KEY_OPTION, "the signer's public key: a file, or a URI that cosign knows", callerKey)
  .action(verify);

async function verify(version: string, options: SignerOptions & { readonly registry: string }) {
  const tools = await releaseTools(new Cache(undefined, (line) => console.error(line)), process.env);
  const { key } = options;
  const signer = key === undefined ? certificateSigner(version, options) : { key };
  console.error(`looking at ${options.registry} ...`);
  // a release by a key, or by another identity, is made where GitHub attests nothing
  const byWorkflow = key === undefined && options.certificateIdentity === undefined;
  const expectation = {
    version,
    sourceURL: options.source,
    signer,
    ...(byWorkflow && { provenanceSigner: provenanceIdentity(version, options.source) }),
  };
  const checks = await verifyRelease(options.registry, expectation, tools);
  for (const { artifact, what, finding, isGood } of checks) {
    console.log(`${isGood ? '✓' : '✗'} ${artifact}: ${what}: ${finding}`);
  }
  const bad = checks.filter(({ isGood }) => !isGood).length;
  console.log(bad === 0 ? `${version} is good.` : `${version} is NOT to be trusted: ${bad} checks failed.`);
  process.exitCode = bad === 0 ? 0 : 1;
}

await runScript(command);
