interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly StatusCause[];
}

/** The body of every error of the API server: `metav1.Status`. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Record<string, never>;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

// metav1.StatusReason, https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/types.go
const REASONS = new Map<number, string>([
  [400, 'BadRequest'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [405, 'MethodNotAllowed'],
  [406, 'NotAcceptable'],
  [409, 'Conflict'],
  [410, 'Expired'],
  [422, 'Invalid'],
  [429, 'TooManyRequests'],
  [500, 'InternalError'],
  [503, 'ServiceUnavailable'],
  [504, 'Timeout'],
]);

export function status(code: number, message: string, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: REASONS.get(code) ?? '',
    ...(details && { details }),
    code,
  };
}

export function notFound(resource: string, name: string): Status {
  return status(404, `${resource} "${name}" not found`, { name, kind: resource });
}

/** A refusal, thrown to the one place that responds. */
export class Refusal extends Error {
  constructor(readonly status: Status) {
    super(status.message);
  }
}

export function statusResponse(body: Status): Response {
  return Response.json(body, { status: body.code });
}
