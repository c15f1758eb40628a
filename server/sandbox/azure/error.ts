import type { Now } from '../../core/effects.ts';

/** Codes of OAuth, with the HTTP status that Entra gives them. */
const STATUSES = {
  invalid_client: 401,
  invalid_instance: 400,
  invalid_request: 400,
  invalid_resource: 400,
  invalid_scope: 400,
  temporarily_unavailable: 503,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
} as const;

type OAuthError = keyof typeof STATUSES;

/** A refusal, thrown to the one place that responds. */
export class EntraRefusal extends Error {
  /** `code` is the number after `AADSTS`, `message` the text after it. */
  constructor(
    readonly code: number,
    readonly error: OAuthError,
    message: string,
    readonly status: number = STATUSES[error],
  ) {
    super(message);
  }
}

/** https://learn.microsoft.com/entra/identity-platform/reference-error-codes#handling-error-codes-in-your-application */
export function errorResponse(refusal: EntraRefusal, correlationID: string, now: Now): Response {
  const { code, error, message, status } = refusal;
  const traceID = crypto.randomUUID();
  const timestamp = new Date(now())
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
  return Response.json(
    {
      error,
      error_description: `AADSTS${code}: ${message} Trace ID: ${traceID} Correlation ID: ${correlationID} Timestamp: ${timestamp}`,
      error_codes: [code],
      timestamp,
      trace_id: traceID,
      correlation_id: correlationID,
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    },
    { status },
  );
}
