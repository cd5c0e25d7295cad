/* What goes wrong in a hall: machines that restart, members that cheat, memory that fails, records that are bent. */
#ifndef TEST_ROUND_TROUBLE_H
#define TEST_ROUND_TROUBLE_H

#include "hall.h"

/** A coordinator in place of the one that was there, from its disk. */
static inline void hall_restart_coordinator(hall *h) {
    msfl_coordinator_free(h->coordinator);
    assert_int_equal(hall_new_coordinator(h), MSFL_OK);
    for (size_t j = 0; j < h->disk[0].n_journal; j++) {
        const hall_item *e = &h->disk[0].journal[j];
        assert_int_equal(msfl_coordinator_replay(h->coordinator, e->bytes, e->length), MSFL_OK);
    }
}

/** Every machine, each from its disk. */
static inline void hall_restart(hall *h) {
    hall_restart_coordinator(h);
    for (uint32_t i = 0; i < h->n; i++) {
        msfl_site_free(h->sites[i]);
        assert_int_equal(hall_new_site(h, i), MSFL_OK);
        for (size_t j = 0; j < h->disk[1 + i].n_journal; j++) {
            const hall_item *e = &h->disk[1 + i].journal[j];
            assert_int_equal(msfl_site_replay(h->sites[i], e->bytes, e->length), MSFL_OK);
        }
    }
    for (uint32_t i = 0; i < h->r->k; i++) {
        msfl_member_free(h->members[i]);
        assert_int_equal(hall_new_member(h, i), MSFL_OK);
        for (size_t j = 0; j < h->disk[1 + h->n + i].n_journal; j++) {
            const hall_item *e = &h->disk[1 + h->n + i].journal[j];
            assert_int_equal(msfl_member_replay(h->members[i], e->bytes, e->length), MSFL_OK);
        }
    }
}

/** A disk keeps entry `j` of its journal where keep[j] says so. */
static inline void hall_cut_journal(hall_disk *disk, const bool *keep) {
    size_t kept = 0;
    for (size_t j = 0; j < disk->n_journal; j++) {
        if (keep[j]) {
            disk->journal[kept++] = disk->journal[j];
        } else {
            free(disk->journal[j].bytes);
        }
    }
    disk->n_journal = kept;
}

static uint32_t hall_cheat_places; /* one bit a place in the committee */

/** For hall.tamper: members in `hall_cheat_places` answer with something else, properly signed. */
static inline void hall_cheat(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)to;
    if (from == MSFL_COORDINATOR || msfl_load32(e->bytes + 8) != MSFL_MSG_ANSWER) return;
    if ((hall_cheat_places >> msfl_member_place(h->r, from) & 1) == 0) return;
    const uint32_t degree = msfl_packed_params(h->ctx)->ring_degree;
    uint32_t *sum = hall_get(degree, sizeof *sum);
    uint8_t cohort[32], *body = e->bytes + MSFL_FRAME_BYTES;
    sum[degree - 1] = 1; /* small and wrong */
    memcpy(cohort, body, 32);
    const msfl_answer_binding b = {e->bytes + 16, cohort, from, degree};
    assert_int_equal(h->delivery == MSFL_DELIVERY_CLIENTS
                         ? msfl_sealed_make(&b, h->secret[from], h->r, sum, body)
                         : msfl_answer_seal(&b, h->secret[from], &h->coordinator_id, sum, body),
                     MSFL_OK);
    msfl_free(sum);
}

/** The coordinator signs a transcript that was changed, so that only what others signed can show it. */
static inline void hall_sign_again(const hall *h, uint8_t *record, size_t length) {
    uint8_t digest[32];
    msfl_hash m;
    msfl_hash_init(&m, "msfl.round.transcript.v1");
    msfl_hash_add(&m, record, length - 64);
    msfl_hash_final(&m, digest);
    msfl_sign(h->coordinator_secret->sign, digest, 32, record + length - 64);
}

/** Every allocation of `call` fails once: the call fails, adds nothing to the effects, and may be repeated. */
#define HALL_REPEAT(effects, call)                                                                                     \
    for (long k = 1;; k++) {                                                                                           \
        const size_t before = (effects)->n;                                                                            \
        msfl_alloc_fail_at(k);                                                                                         \
        msfl_status status = call;                                                                                     \
        msfl_alloc_fail_at(0);                                                                                         \
        if (status == MSFL_OK) break;                                                                                  \
        if (status != MSFL_ERR_MEMORY) fail_msg("%s", msfl_error_message());                                           \
        assert_int_equal((effects)->n, before);                                                                        \
        assert_true(k < 400);                                                                                          \
    }

#endif
