/* Who may connect: the authority's key and the newest roster, as a server or a client asks at every connection. */
#ifndef MSFL_PKI_GATE_H
#define MSFL_PKI_GATE_H

#include "pki/roster.h"
#include "pki/x509.h"

/** Who is at the other end, as the certificate and the roster agree. */
typedef struct pki_peer {
    char name[PKI_NAME_MAX + 1];
    pki_role role;
    uint32_t number; /**< place in the roster */
    uint8_t serial[PKI_SERIAL_BYTES];
} pki_peer;

typedef struct pki_gate pki_gate; /**< any thread may use it */

/** Takes nothing over: both may be freed afterwards. */
msfl_status pki_gate_new(const char *ca_pem, size_t length, const pki_roster *roster, pki_gate **out) MSFL_NODISCARD;
void pki_gate_free(pki_gate *gate);

/** From now on this roster counts; pki_roster_may_follow says whether it may. On error the old one stays. */
msfl_status pki_gate_replace(pki_gate *gate, const pki_roster *roster) MSFL_NODISCARD;
uint32_t pki_gate_epoch(pki_gate *gate);

/** Judge a certificate (DER). `peer` is filled for ADMITTED alone, else zeroed. */
pki_verdict pki_gate_admit(pki_gate *gate, const uint8_t *der, size_t length, int64_t now,
                           pki_peer *peer) MSFL_NODISCARD;
/** Whether one who was admitted earlier still is: connections outlive rosters. */
bool pki_gate_still(pki_gate *gate, const pki_peer *peer);

#endif
