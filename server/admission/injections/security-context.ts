import type { PodEditor } from '../pod-editor.ts';

/** Each is said, since the Pod's own security context may say otherwise for all containers. */
export const CONFINED = {
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
};
export const SECCOMP = { seccompProfile: { type: 'RuntimeDefault' } };

/**
 * As Pod Security "restricted" asks for. The user is the Pod's, or the image's, which is not root: OpenShift allows
 * those of a Namespace's range only.
 */
export function restricted({ spec }: PodEditor) {
  const isRoot = spec.securityContext?.runAsUser === 0;
  return {
    ...(isRoot ? { runAsUser: IMAGE_USER, runAsGroup: IMAGE_USER } : {}),
    runAsNonRoot: true,
    ...CONFINED,
    capabilities: { drop: ['ALL'] },
    ...SECCOMP,
  };
}

/** The USER of the image. */
const IMAGE_USER = 16_321;
