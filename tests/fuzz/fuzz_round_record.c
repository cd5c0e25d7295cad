/* layer: round */
/* Any bytes as a roster (odd first byte) or a transcript, with the outer signature made again: refused, or read. */
#define HALL_PLAIN
#include "../unit/round/hall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hall h;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (h.ctx == NULL) hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    if (size < 1 + 64 || size > 1 << 16) return 0;
    const bool roster = data[0] % 2 == 1;
    const size_t length = size - 1;
    uint8_t *copy = malloc(length), digest[32];
    assert_non_null(copy);
    memcpy(copy, data + 1, length);
    msfl_hash m;
    msfl_hash_init(&m, roster ? "msfl.roster.v1" : "msfl.round.transcript.v1");
    msfl_hash_add(&m, copy, length - 64);
    msfl_hash_final(&m, digest);
    msfl_sign(roster ? h.consortium->sign : h.coordinator_secret->sign, digest, 32, copy + length - 64);
    if (roster) {
        msfl_roster *r;
        if (msfl_roster_read(copy, length, h.consortium_id.sign, &r) == MSFL_OK) {
            const msfl_roster_info *info = msfl_roster_borrow(r);
            if (2 * info->t <= info->k + info->f || info->k > 16) abort();
            msfl_roster_free(r);
        }
    } else {
        msfl_transcript t;
        uint8_t hash[32] = {0};
        if (msfl_transcript_verify(copy, length, h.roster, NULL, &t) == MSFL_OK) {
            if (t.outcome == MSFL_OUTCOME_OPENED && (t.n_cohort < 2 || t.n_votes < h.r->t)) abort();
            if (t.n_reports > 0 && t.outcome == MSFL_OUTCOME_OPENED && t.n_agree < 3) abort();
            msfl_report report;
            for (uint32_t i = 0; msfl_transcript_report(&t, i, &report); i++)
                hash[0] ^= report.result[0];
            for (size_t i = 0; i < t.reason_length; i++)
                digest[0] ^= (uint8_t)t.reason[i];
            (void)msfl_transcript_find(&t, h.roster, 1, hash);
        }
    }
    free(copy);
    return 0;
}
