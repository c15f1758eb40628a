// What a person sees through gcloud: prints it as JSON.
// Usage: client.ts AUDIENCE
import { run } from '../../../scripts/run.ts';

const [audience = ''] = process.argv.slice(2);

async function gcloud(...args: string[]): Promise<{ output: string; error: string | undefined }> {
  const { exitCode, stdout, stderr } = await run(['gcloud', ...args, '--quiet']);
  return { output: stdout.trim(), error: exitCode === 0 ? undefined : stderr };
}

const email = await gcloud('auth', 'list', '--filter=status:ACTIVE', '--format=value(account)');
const project = await gcloud('config', 'get', 'project');
const universe = await gcloud('config', 'get', 'core/universe_domain');
const accessToken = await gcloud('auth', 'print-access-token');
const idToken = await gcloud('auth', 'print-identity-token', `--audiences=${audience}`);

process.stdout.write(
  JSON.stringify({
    client: 'gcloud',
    available: email.output !== '',
    email: email.output,
    projectID: project.output,
    universe: universe.output,
    ...(accessToken.error === undefined
      ? { accessToken: accessToken.output }
      : { accessTokenError: accessToken.error }),
    ...(idToken.error === undefined ? { idToken: idToken.output } : { idTokenError: idToken.error }),
  }),
);
