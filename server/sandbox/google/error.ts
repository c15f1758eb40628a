// google.rpc.Code names by HTTP status, https://cloud.google.com/apis/design/errors
const STATUS_NAMES = new Map<number, string>([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [429, 'RESOURCE_EXHAUSTED'],
  [500, 'INTERNAL'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
]);

interface ErrorInfo {
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A refusal, thrown to the one place that responds. */
export class GoogleRefusal extends Error {
  constructor(
    readonly status: number,
    readonly body: object,
  ) {
    super(JSON.stringify(body));
  }

  get response(): Response {
    return Response.json(this.body, {
      status: this.status,
      ...(this.status === 401 && {
        headers: { 'www-authenticate': 'Bearer realm="https://accounts.google.com/"' },
      }),
    });
  }
}

/** An error of a Google API: https://cloud.google.com/apis/design/errors#http_mapping. */
export function apiError(status: number, message: string, info?: ErrorInfo): GoogleRefusal {
  return new GoogleRefusal(status, {
    error: {
      code: status,
      message,
      status: STATUS_NAMES.get(status) ?? 'UNKNOWN',
      ...(info && { details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', ...info }] }),
    },
  });
}

/** An error of the token exchange: RFC 6749, section 5.2. */
export function oauthError(error: string, description: string, status = 400): GoogleRefusal {
  return new GoogleRefusal(status, { error, error_description: description });
}
