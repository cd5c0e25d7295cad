/* A site opens the sum that was delivered, and says what it opened. */
#include "round/guard.h"
#include "round/info.h"
#include "round/open.h"
#include "round/site.h"
#include "round/transcript.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

static bool is_complete(const msfl_site *s) {
    return s->sum != NULL && msfl_packed_sum_addends(s->sum) == s->n_cohort;
}

static void begin_anew(msfl_site *s) {
    msfl_packed_sum_free(s->sum);
    s->sum = NULL;
    s->fold = 0;
    s->at_client = 0;
    s->at_chunk = 0;
}

/** Whether chunks may come, from this source; an empty sum where there is none yet. */
static msfl_status prepare(msfl_site *s, const msfl_packed *ctx, msfl_fold fold, const char *what) {
    msfl_status status = msfl_site_expect(s, MSFL_SITE_DELIVERED, what);
    if (status == MSFL_OK) status = msfl_round_info_check_with(&s->a.info, ctx);
    if (status != MSFL_OK) return status;
    if (s->fold != fold) begin_anew(s);
    if (s->sum == NULL) status = msfl_packed_sum_new(ctx, s->round_id, s->a.info.n_values, &s->sum);
    if (status != MSFL_OK) return status;
    s->ctx = ctx;
    s->fold = fold;
    return MSFL_OK;
}

msfl_status msfl_site_try_open(msfl_site *s) {
    msfl_answers a = {s->ctx, s->sum, s->a.info.n_values, s->n_cohort, s->r->t, s->r->k, {NULL}};
    for (uint32_t i = 0; i < s->r->k; i++)
        a.shares[i] = s->shares[i];
    int32_t *key_sum = msfl_alloc(s->a.info.params.ring_degree, sizeof *key_sum);
    if (key_sum == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_answers_open(&a, key_sum, &s->wrong);
    if (status != MSFL_OK) {
        msfl_free(key_sum);
        if (status != MSFL_ERR_CRYPTO) return status;
        const uint32_t m = msfl_answers_count(&a);
        return msfl_fail(MSFL_ERR_CRYPTO, "round %" PRIu64 ": no %" PRIu32 " of %" PRIu32 " answers open the sum; %s",
                         s->a.info.number, a.t, m,
                         m < a.k ? "further answers may"
                                 : "a client shared its key wrongly, too many members cheat, or the coordinator folded "
                                   "something else");
    }
    s->key_sum = key_sum;
    s->phase = MSFL_SITE_OPENED;
    return MSFL_OK;
}

/** Hold the complete sum to what the coordinator signed, then open it. */
static msfl_status complete(msfl_site *s) {
    const uint64_t n_values = s->a.info.n_values;
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash h;
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(s->ctx, n_values, 0), 1);
    if (chunk == NULL) return MSFL_NO_MEMORY;
    msfl_folded_hash_init(&h, s->round_id, s->cohort, msfl_round_ciphertext_bytes(s->ctx, n_values));
    msfl_status status = MSFL_OK;
    for (uint64_t j = 0; j < s->n_chunks && status == MSFL_OK; j++) {
        status = msfl_packed_sum_get(s->ctx, s->sum, j, chunk);
        if (status == MSFL_OK) msfl_hash_add(&h, chunk, msfl_packed_chunk_bytes(s->ctx, n_values, j));
    }
    msfl_hash_final(&h, hash);
    msfl_free(chunk);
    if (status != MSFL_OK) return status;
    if (!MSFL_GUARD(FOLD_HASH, memcmp(hash, s->folded, sizeof hash) == 0)) {
        const msfl_fold fold = s->fold;
        begin_anew(s);
        if (fold == MSFL_FOLD_OWN) {
            return msfl_fail(MSFL_ERR_MISMATCH,
                             "round %" PRIu64 ": the coordinator signed another sum than that of the %" PRIu32
                             " uploads: it folded wrongly",
                             s->a.info.number, s->n_cohort);
        }
        return msfl_fail(MSFL_ERR_CRYPTO,
                         "round %" PRIu64 ": the folded sum is not the one that the coordinator signed; ask for all of "
                         "its chunks again",
                         s->a.info.number);
    }
    return msfl_site_try_open(s);
}

msfl_status msfl_site_folded(msfl_site *s, const msfl_packed *ctx, uint64_t j, const uint8_t *bytes, size_t length) {
    msfl_status status = prepare(s, ctx, MSFL_FOLD_TAKEN, "take the folded sum");
    if (status == MSFL_OK && !is_complete(s)) {
        status = msfl_packed_sum_set(ctx, s->sum, j, s->n_cohort, bytes, length);
    }
    if (status == MSFL_OK && is_complete(s)) status = complete(s);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

static msfl_status fold_upload(msfl_site *s, uint32_t client, uint64_t j, const uint8_t *bytes, size_t length) {
    const uint64_t n_values = s->a.info.n_values;
    const uint32_t due = s->cohort_clients[s->at_client];
    if (client != due || j != s->at_chunk) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "chunk %" PRIu64 " of client %" PRIu32 " where chunk %" PRIu64 " of client %" PRIu32 " is due",
                         j, client, s->at_chunk, due);
    }
    msfl_status status = msfl_packed_fold(s->ctx, s->sum, j, bytes, length);
    if (status != MSFL_OK) return status;
    if (j == 0) {
        msfl_round_ciphertext_hash_init(&s->hash, s->round_id, client, msfl_round_ciphertext_bytes(s->ctx, n_values));
    }
    msfl_hash_add(&s->hash, bytes, length);
    if (++s->at_chunk < s->n_chunks) return MSFL_OK;
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash_final(&s->hash, hash);
    if (memcmp(hash, s->statements + s->at_client * msfl_statement_bytes(s->r->k) + 12, sizeof hash) != 0) {
        begin_anew(s);
        return msfl_fail(MSFL_ERR_CRYPTO,
                         "the upload of client %" PRIu32 " is not the one that it signed; begin again with the first",
                         client);
    }
    s->at_chunk = 0;
    s->at_client++;
    return MSFL_OK;
}

msfl_status msfl_site_fold_upload(msfl_site *s, const msfl_packed *ctx, uint32_t client, uint64_t j,
                                  const uint8_t *bytes, size_t length) {
    msfl_status status = prepare(s, ctx, MSFL_FOLD_OWN, "fold an upload");
    /* Complete once the last client's last chunk is in: chunks agree on n addends no sooner. */
    if (status == MSFL_OK && s->at_client < s->n_cohort) status = fold_upload(s, client, j, bytes, length);
    if (status == MSFL_OK && s->at_client == s->n_cohort) status = complete(s);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

const uint32_t *msfl_site_cohort(const msfl_site *s, size_t *n) {
    *n = s->n_cohort;
    return s->cohort_clients;
}

msfl_status msfl_site_total(const msfl_site *s, uint64_t j, uint64_t *totals) {
    if (s->phase != MSFL_SITE_REPORTED || s->key_sum == NULL) {
        msfl_status status = msfl_site_expect(s, MSFL_SITE_OPENED, "open the sum");
        if (status != MSFL_OK) return status;
    }
    return msfl_packed_open(s->ctx, s->sum, j, s->n_cohort, s->key_sum, totals);
}

uint32_t msfl_site_wrong(const msfl_site *s) {
    return s->wrong;
}

/** Hash of all totals, as msfl_result_hash. */
static msfl_status hash_totals(const msfl_site *s, uint8_t out[MSFL_HASH_BYTES]) {
    const uint64_t n_values = s->a.info.n_values;
    uint64_t *totals = msfl_alloc(msfl_packed_chunk_slots(s->ctx, n_values, 0), sizeof *totals);
    if (totals == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    msfl_hash h;
    msfl_result_hash_init(&h, n_values);
    for (uint64_t j = 0; j < s->n_chunks && status == MSFL_OK; j++) {
        status = msfl_site_total(s, j, totals);
        const uint32_t n = msfl_packed_chunk_slots(s->ctx, n_values, j);
        for (uint32_t i = 0; i < n && status == MSFL_OK; i++)
            msfl_hash_add_u64(&h, totals[i]);
    }
    msfl_hash_final(&h, out);
    msfl_wipe(totals, msfl_packed_chunk_slots(s->ctx, n_values, 0) * sizeof *totals);
    msfl_free(totals);
    return status;
}

msfl_status msfl_site_send_report(const msfl_site *s, msfl_effects *effects) {
    msfl_buffer message = {0};
    msfl_frame_put(&message, MSFL_MSG_REPORT, s->config.client, s->round_id);
    msfl_put_bytes(&message, s->report, sizeof s->report);
    return msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
}

msfl_status msfl_site_report(msfl_site *s, const uint8_t *made, msfl_effects *effects) {
    static const uint8_t nothing_made[MSFL_HASH_BYTES];
    uint8_t sums[MSFL_HASH_BYTES], report[MSFL_REPORT_BYTES];
    msfl_status status = msfl_site_expect(s, MSFL_SITE_OPENED, "report");
    if (status == MSFL_OK) status = hash_totals(s, sums);
    if (status != MSFL_OK) return status;
    msfl_store32(report, s->config.client);
    msfl_store32(report + 4, (uint32_t)s->fold);
    msfl_store32(report + 8, s->wrong);
    msfl_sealed_result(s->round_id, s->cohort, s->a.info.params.ring_degree, s->key_sum, sums,
                       made == NULL ? nothing_made : made, report + 12);
    msfl_report_sign(s->round_id, s->cohort, s->config.secret, report);
    msfl_buffer record = {0}, message = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_REPORTED, s->config.task);
    msfl_put_bytes(&record, s->announce, sizeof s->announce);
    msfl_put_bytes(&record, report, sizeof report);
    msfl_frame_put(&message, MSFL_MSG_REPORT, s->config.client, s->round_id);
    msfl_put_bytes(&message, report, sizeof report);
    return msfl_site_commit(s, &record, &message, s->a.info.number, effects);
}

uint64_t msfl_site_result(const msfl_site *s, uint8_t result[MSFL_HASH_BYTES]) {
    memset(result, 0, MSFL_HASH_BYTES);
    if (s->opened_number > 0) memcpy(result, msfl_report_result(s->report), MSFL_HASH_BYTES);
    return s->opened_number;
}

uint64_t msfl_site_settled(const msfl_site *s) {
    return s->settled_number;
}
