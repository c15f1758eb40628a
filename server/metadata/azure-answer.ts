import type { Answer } from './answer.ts';

// the real service, and Azure's own proxy in front of it, accept the first segment in any case
const SERVED_BY_AZURE = /^\/metadata\/(identity|instance)(\/|$)/i;

/**
 * The response of Azure's metadata service to a Pod without an Azure identity: 400 with its JSON, on which Azure's
 * SDKs move on to the next credential at once. On 404 they ask six times, for 16 to 24 seconds.
 * Undefined for a path that Azure does not serve. `metadata` is the value of the request header of that name.
 */
export function answerAsAzure(path: string, metadata: string | null): Answer | undefined {
  const description = descriptionFor(SERVED_BY_AZURE.exec(path)?.[1]);
  if (description === undefined) return undefined;
  const error_description =
    metadata?.toLowerCase() === 'true' ? description : 'Required metadata header not specified';
  return {
    status: 400,
    contentType: 'application/json',
    body: JSON.stringify({ error: 'invalid_request', error_description }),
  };
}

function descriptionFor(resource: string | undefined): string | undefined {
  if (resource === undefined) return undefined;
  return resource.toLowerCase() === 'identity' ? 'Identity not found' : 'Instance metadata not found';
}
