import type { ApiClient } from '../cluster/api-client.ts';

interface Certificate {
  readonly status: { readonly conditions: readonly object[] };
}

/** Has cert-manager issue a Certificate again, as `cmctl renew` does. */
export async function issueAnew(api: ApiClient, namespace: string, name: string): Promise<void> {
  const path = `/apis/cert-manager.io/v1/namespaces/${namespace}/certificates/${name}`;
  const { status } = await api.json<Certificate>('GET', path);
  const issuing = { type: 'Issuing', status: 'True', reason: 'ManuallyTriggered', message: 'by a test' };
  const conditions = [...status.conditions, issuing];
  const contentType = 'application/merge-patch+json';
  await api.text('PATCH', `${path}/status`, { contentType, body: { status: { conditions } } });
}
