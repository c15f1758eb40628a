/** The name by which Google's clients look for the metadata server. */
export const METADATA_HOSTNAME = 'metadata.google.internal';

/** Where clients expect the metadata server: GCE's IPv4 address, and the IPv6 one of Google's images. */
export const METADATA_ADDRESS = {
  IPv4: '169.254.169.254',
  IPv6: 'fd20:ce::254',
} as const;
