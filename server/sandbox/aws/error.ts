import { toXml } from './xml.ts';

// the HTTP status of each code, https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
// and …/CommonErrors.html
const STATUSES = {
  AccessDenied: 403,
  ExpiredToken: 403,
  ExpiredTokenException: 400,
  IDPCommunicationError: 400,
  IncompleteSignature: 403,
  InternalFailure: 500,
  InvalidAction: 400,
  InvalidClientTokenId: 403,
  InvalidIdentityToken: 400,
  MalformedPolicyDocument: 400,
  MissingAction: 400,
  MissingAuthenticationToken: 403,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  Throttling: 400,
  ValidationError: 400,
} as const;

type AwsErrorCode = keyof typeof STATUSES;

/** A refusal, thrown to the one place that responds. */
export class AwsRefusal extends Error {
  constructor(
    readonly code: AwsErrorCode,
    message: string,
  ) {
    super(message);
  }

  get status(): number {
    return STATUSES[this.code];
  }

  /** `Sender` if the caller is to blame. */
  get type(): 'Sender' | 'Receiver' {
    return this.status >= 500 ? 'Receiver' : 'Sender';
  }
}

/** As the Query API responds: https://docs.aws.amazon.com/IAM/latest/UserGuide/programming.html. */
export function errorResponse(refusal: AwsRefusal, requestID: string): Response {
  const { code, message, status, type } = refusal;
  return xmlResponse(
    'ErrorResponse',
    { Error: { Type: type, Code: code, Message: message }, RequestId: requestID },
    requestID,
    status,
  );
}

/** `result` inside `ACTIONResponse` and `ACTIONResult`. */
export function resultResponse(action: string, result: object, requestID: string): Response {
  const body = { [`${action}Result`]: result, ResponseMetadata: { RequestId: requestID } };
  return xmlResponse(`${action}Response`, body, requestID, 200);
}

function xmlResponse(root: string, body: object, requestID: string, status: number): Response {
  return new Response(toXml(root, body), {
    status,
    headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestID },
  });
}
