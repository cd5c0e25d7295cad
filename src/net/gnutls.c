#include "net/gnutls.h"

#include <gnutls/gnutls.h>

const char NET_TLS_PRIORITIES[] = "NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:+GROUP-X25519:"
                                  "+GROUP-SECP256R1:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+CTYPE-X509:"
                                  "%NO_TICKETS";

static gnutls_alert_description_t alert_of(pki_verdict verdict) {
    switch (verdict) {
    case PKI_OTHER_CA:
        return GNUTLS_A_UNKNOWN_CA;
    case PKI_EXPIRED:
    case PKI_NOT_YET_VALID:
        return GNUTLS_A_CERTIFICATE_EXPIRED;
    case PKI_REVOKED:
        return GNUTLS_A_CERTIFICATE_REVOKED;
    case PKI_UNKNOWN:
        return GNUTLS_A_ACCESS_DENIED;
    case PKI_WRONG_USE:
        return GNUTLS_A_UNSUPPORTED_CERTIFICATE;
    default:
        return GNUTLS_A_BAD_CERTIFICATE;
    }
}

static int verify(gnutls_session_t session) {
    unsigned int n = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);
    const net_tls_door *door = gnutls_db_get_ptr(session);
    pki_verdict verdict = PKI_NO_CERTIFICATE;
    if (door != NULL && list != NULL && n > 0) verdict = door->judge(door->ctx, list[0].data, list[0].size);
    if (verdict == PKI_ADMITTED) return 0;
    (void)gnutls_alert_send(session, GNUTLS_AL_FATAL, alert_of(verdict));
    return GNUTLS_E_CERTIFICATE_ERROR;
}

void net_tls_demand(void *session, net_tls_door *door) {
    /* The one pointer of a session that is ours: libmicrohttpd has the session's own and the transport's, and keeps no
     * data base of sessions to resume. Without resumption every connection is judged anew. */
    gnutls_db_set_ptr(session, door);
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_function(session, verify);
}
