// What an application gets by Application Default Credentials, which a file leads to: prints it as JSON.
// Usage: client.js FILE LIBRARY SCOPE...: the library is the one that FILE would import.
import { createRequire } from 'node:module';

const [file, name, ...scopes] = process.argv.slice(2);
const { GoogleAuth } = createRequire(file)(name);
const client = await new GoogleAuth({ scopes }).getClient();
const { token } = await client.getAccessToken();
process.stdout.write(JSON.stringify({ kind: client.constructor.name, accessToken: token }));
