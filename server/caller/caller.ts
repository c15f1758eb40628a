import type { BoundObject, ServiceAccount } from '../kubernetes/objects.ts';

/** Who is asking: a ServiceAccount, through the Pod or the Node that its tokens are bound to. */
export interface Caller {
  readonly serviceAccount: ServiceAccount;
  readonly boundTo: BoundObject;
}

/** What turns a connection's peer address into a {@link Caller}. */
export interface Callers {
  /**
   * The caller, without waiting, if its Pod (or Node) and ServiceAccount are known and fresh enough.
   * The same object is returned until something about it changes, so it can key a WeakMap.
   */
  known(socketAddress: string): Caller | undefined;
  /**
   * The caller: at once if it is {@link known}, else a promise, which waits for the watch and asks the API server.
   * The promise rejects with `caller-not-reported` for an address that may be a Pod's, `caller-unknown`,
   * `stores-not-in-sync`, `node-without-service-account`, `pod-without-service-account`, `service-account-missing`,
   * `kubernetes-unavailable`, `kubernetes-forbidden`, or `caller-busy` if too many unknown addresses wait.
   */
  identify(socketAddress: string): Caller | Promise<Caller>;
  /** Google refused something for this ServiceAccount: look at it again within seconds, not minutes. */
  refused(caller: Caller): void;
}
