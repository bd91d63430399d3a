/** An error of the network in few words. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0]);
  const error = cause as NodeJS.ErrnoException;
  if (error.code !== undefined && CERTIFICATE_CODES.has(error.code)) {
    return `its certificate was not issued by an authority in rootCA.crt (${error.message})`;
  }
  if (error.code !== undefined && NO_TLS_CODES.has(error.code)) {
    return `what answers there does not speak TLS (${error.code}); -ce=false is plain TCP`;
  }
  return error.message || String(error.code ?? error.name);
}

const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const NO_TLS_CODES: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);
