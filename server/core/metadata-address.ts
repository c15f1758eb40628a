/** The name by which Google's clients look for the metadata server. */
export const METADATA_HOSTNAME = 'metadata.google.internal';

/** Where clients expect the metadata server: GCE's IPv4 address, and the IPv6 one of Google's images. */
export const METADATA_ADDRESS = {
  IPv4: '169.254.169.254',
  IPv6: 'fd20:ce::254',
} as const;

/** Where the agent of EKS Pod Identity gives container credentials: the addresses that AWS's SDKs accept over http. */
export const CONTAINER_CREDENTIALS_ADDRESS = {
  IPv4: '169.254.170.23',
  IPv6: 'fd00:ec2::23',
} as const;
