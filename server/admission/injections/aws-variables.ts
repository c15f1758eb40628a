// by which SDKs find credentials in a file

/** Of IRSA. SDKs prefer these to {@link POD_IDENTITY_VARIABLES}. */
export const IRSA_VARIABLES = ['AWS_ROLE_ARN', 'AWS_WEB_IDENTITY_TOKEN_FILE'] as const;

/** Of EKS Pod Identity. */
export const POD_IDENTITY_VARIABLES = [
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
] as const;
