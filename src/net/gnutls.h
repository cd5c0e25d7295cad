/* Shim for GnuTLS, on which libmicrohttpd stands: a certificate is demanded and judged within the handshake, so that
 * nobody unknown gets as far as HTTP. */
#ifndef MSFL_NET_GNUTLS_H
#define MSFL_NET_GNUTLS_H

#include "pki/names.h"

/** TLS 1.3 alone: AES-GCM and ChaCha20-Poly1305, X25519 and P-256, ECDSA. In GnuTLS's language. */
extern const char NET_TLS_PRIORITIES[];

/** What decides about a peer: called once, in the handshake, with its certificate (DER). Lives as long as its session.
 */
typedef struct net_tls_door {
    pki_verdict (*judge)(void *ctx, const uint8_t *der, size_t length);
    void *ctx;
} net_tls_door;

/** For a new session, before its handshake: no certificate, no connection; the door decides about what comes. A refusal
 *  is told in a TLS alert that says why. */
void net_tls_demand(void *session, net_tls_door *door);

#endif
