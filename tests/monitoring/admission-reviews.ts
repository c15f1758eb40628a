import { instance } from './rendered.ts';

const SERVER = `system:serviceaccount:${instance.namespace}:${instance.name}`;

/** A Pod that opts in, of a Namespace that need not be there; with the mode by its annotation, if any. */
export function podReview(mode?: string): object {
  const labels = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
  const annotations = mode === undefined ? {} : { 'gke-metadata-server.matheuscscp.io/mode': mode };
  return review({
    resource: { group: '', version: 'v1', resource: 'pods' },
    name: 'app',
    userInfo: { username: 'somebody' },
    object: {
      metadata: { name: 'app', labels, annotations },
      spec: { containers: [{ name: 'app', image: 'app' }] },
    },
  });
}

/** A request for a token by the server of `nodeName`, or by one whose own token names no Node. */
export function tokenRequestReview(nodeName: string | undefined): object {
  const extra = nodeName === undefined ? {} : { 'authentication.kubernetes.io/node-name': [nodeName] };
  const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'app', uid: 'app-uid' };
  return review({
    resource: { group: '', version: 'v1', resource: 'serviceaccounts' },
    subResource: 'token',
    name: 'app',
    userInfo: { username: SERVER, extra },
    object: { spec: { audiences: ['provider'], boundObjectRef } },
  });
}

function review(request: object): object {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: crypto.randomUUID(), operation: 'CREATE', namespace: 'default', ...request },
  };
}
