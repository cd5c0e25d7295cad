/* layer: pki */
/* What a kit or a request is made of, whatever its bytes. The first byte chooses: 0 a request, 1 a plan, 2 a kit's
 * configuration, 3 a roster (signed here first, so that its fields are reached), 4 a sealed key, 5 a certificate. */
#include "base/mem.h"
#include "pki/authority.h"
#include "pki/gate.h"
#include "pki/round.h"
#include "pki/signed.h"
#include "vault/unlock.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pki_identity *signer;
static pki_anchor *anchor;

static void prepare(void) {
    uint8_t *key;
    size_t n;
    char *pem;
    static const uint8_t seed[32];
    if (signer != NULL) return;
    if (pki_identity_new(seed, &signer) != MSFL_OK || pki_key_new(&key, &n) != MSFL_OK ||
        pki_authority_certificate(key, n, "fuzz", 0, 4000000000, &pem) != MSFL_OK ||
        pki_anchor_new(pem, strlen(pem), &anchor) != MSFL_OK) {
        abort();
    }
    msfl_secret_free(key);
    msfl_free(pem);
}

static void read_roster(const char *bytes, size_t size) {
    msfl_buffer text = {0}, again = {0};
    pki_roster *roster, *second;
    msfl_put_bytes(&text, bytes, size);
    msfl_put8(&text, '\n');
    if (pki_signed_close(&text, "msfl.pki.roster.v1", signer->sign_secret) == MSFL_OK &&
        pki_roster_parse("fuzz", (const char *)text.bytes, text.length, signer->sign, &roster) == MSFL_OK) {
        /* what was read can be written, and is read the same */
        if (pki_roster_sign(roster, signer->sign_secret, &again) != MSFL_OK ||
            pki_roster_parse("again", (const char *)again.bytes, again.length, signer->sign, &second) != MSFL_OK ||
            pki_roster_may_follow(roster, second) != MSFL_OK) {
            abort();
        }
        msfl_roster *round;
        if (pki_roster_round(roster, &round) == MSFL_OK) msfl_roster_free(round);
        for (uint32_t i = 0; i < 4; i++)
            (void)pki_round_name(roster, i);
        msfl_free(second);
        msfl_free(roster);
    }
    msfl_buffer_clear(&again);
    msfl_buffer_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || msfl_crypto_init() != MSFL_OK) return 0;
    prepare();
    char *bytes = malloc(size); /* exactly as long as it says: the sanitizer sees an overrun */
    if (bytes == NULL) return 0;
    memcpy(bytes, data + 1, size - 1);
    size_t n = size - 1;
    static pki_request request;
    static pki_config config;
    pki_plan *plan;
    pki_facts facts;
    uint8_t *plain;
    size_t length;
    switch (data[0] % 6) {
    case 0:
        (void)!pki_request_parse("fuzz", bytes, n, &request);
        break;
    case 1:
        if (pki_plan_parse("fuzz", bytes, n, &plan) == MSFL_OK) msfl_free(plan);
        break;
    case 2:
        (void)!pki_config_parse("fuzz", bytes, n, &config);
        break;
    case 3:
        read_roster(bytes, n);
        break;
    case 4:
        if (pki_unseal("fuzz", "tls.key", (const uint8_t *)bytes, n, NULL, &plain, &length) == MSFL_OK) abort();
        break;
    default:
        if (pki_anchor_judge(anchor, (const uint8_t *)bytes, n, 1800000000, &facts) == PKI_ADMITTED) abort();
    }
    free(bytes);
    return 0;
}
