#include "pki/gate.h"

#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>

struct pki_gate {
    pki_anchor *anchor;
    pthread_mutex_t lock;
    pki_roster *roster; /* under the lock */
};

static msfl_status copy_of(const pki_roster *roster, pki_roster **out) {
    *out = pki_roster_new();
    if (*out == NULL) return MSFL_NO_MEMORY;
    memcpy(*out, roster, sizeof *roster);
    return MSFL_OK;
}

msfl_status pki_gate_new(const char *ca_pem, size_t length, const pki_roster *roster, pki_gate **out) {
    *out = NULL;
    pki_gate *gate = msfl_alloc(1, sizeof *gate);
    if (gate == NULL) return MSFL_NO_MEMORY;
    (void)pthread_mutex_init(&gate->lock, NULL);
    msfl_status status = pki_anchor_new(ca_pem, length, &gate->anchor);
    if (status == MSFL_OK) status = copy_of(roster, &gate->roster);
    if (status == MSFL_OK &&
        memcmp(roster->authority, pki_anchor_facts(gate->anchor)->key, sizeof roster->authority) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "the roster names another certificate authority");
    }
    if (status != MSFL_OK) {
        pki_gate_free(gate);
        return status;
    }
    *out = gate;
    return MSFL_OK;
}

void pki_gate_free(pki_gate *gate) {
    if (gate == NULL) return;
    pki_anchor_free(gate->anchor);
    msfl_free(gate->roster);
    (void)pthread_mutex_destroy(&gate->lock);
    msfl_free(gate);
}

msfl_status pki_gate_replace(pki_gate *gate, const pki_roster *roster) {
    pki_roster *next;
    msfl_status status = copy_of(roster, &next);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&gate->lock);
    status = pki_roster_may_follow(gate->roster, roster);
    if (status == MSFL_OK) {
        pki_roster *old = gate->roster;
        gate->roster = next;
        next = old;
    }
    pthread_mutex_unlock(&gate->lock);
    msfl_free(next);
    return status;
}

uint32_t pki_gate_epoch(pki_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    uint32_t epoch = gate->roster->epoch;
    pthread_mutex_unlock(&gate->lock);
    return epoch;
}

/* Name, role, serial number and key must be one entry of the roster: a hospital's certificate under another's name is
 * unknown even if the authority signed it by mistake. */
static pki_verdict look_up(const pki_roster *roster, const pki_facts *facts, pki_peer *peer) {
    if (strcmp(facts->federation, roster->federation) != 0) return PKI_UNKNOWN;
    if (pki_roster_revoked(roster, facts->serial) != NULL) return PKI_REVOKED;
    const pki_party *p = pki_roster_find(roster, facts->name);
    if (p == NULL || strcmp(pki_role_name(p->role), facts->role) != 0) return PKI_UNKNOWN;
    for (uint32_t i = 0; i < p->n_certificates; i++) {
        if (memcmp(p->certificates[i].serial, facts->serial, sizeof facts->serial) != 0 ||
            memcmp(p->certificates[i].key, facts->key, sizeof facts->key) != 0) {
            continue;
        }
        memcpy(peer->name, p->name, sizeof peer->name);
        memcpy(peer->serial, facts->serial, sizeof peer->serial);
        peer->role = p->role;
        peer->number = (uint32_t)(p - roster->parties);
        return PKI_ADMITTED;
    }
    return PKI_UNKNOWN;
}

pki_verdict pki_gate_admit(pki_gate *gate, const uint8_t *der, size_t length, int64_t now, pki_peer *peer) {
    *peer = (pki_peer){0};
    pki_facts facts;
    if (der == NULL || length == 0) return PKI_NO_CERTIFICATE;
    pki_verdict verdict = pki_anchor_judge(gate->anchor, der, length, now, &facts);
    if (verdict != PKI_ADMITTED) return verdict;
    if (!facts.for_client) return PKI_WRONG_USE;
    pthread_mutex_lock(&gate->lock);
    verdict = look_up(gate->roster, &facts, peer);
    pthread_mutex_unlock(&gate->lock);
    return verdict;
}

bool pki_gate_still(pki_gate *gate, const pki_peer *peer) {
    bool still = false;
    pthread_mutex_lock(&gate->lock);
    const pki_party *p = pki_roster_find(gate->roster, peer->name);
    for (uint32_t i = 0; p != NULL && i < p->n_certificates; i++)
        still |= memcmp(p->certificates[i].serial, peer->serial, sizeof peer->serial) == 0;
    pthread_mutex_unlock(&gate->lock);
    return still;
}
