/** Version, length, export time, sequence number, observation domain (RFC 7011, 3.1). */
export const IPFIX_MESSAGE_HEADER_BYTES = 16;
/** Set id, length (RFC 7011, 3.3.2). */
export const IPFIX_SET_HEADER_BYTES = 4;
/** Set ids (RFC 7011, 3.3.2); those between are reserved. */
export const IPFIX_SET = { templates: 2, optionsTemplates: 3, firstData: 256 } as const;
