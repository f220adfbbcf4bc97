/** Bits of the TCP flags (RFC 9293 section 3.1) that tell how far a connection got. */
export const TCP = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;
