/* The lying coordinator, where sums are delivered to hospitals: it folds wrongly, for all or for some, delivers sums of
 * its own making, leaves out what it acknowledged, records what nobody opened. */
#include "sim.h"

void lie_receipt(sim *s) {
    if (s->n_uploads == 0) return;
    const seen_upload *u = &s->uploads[sim_below(s, s->n_uploads)];
    if (u->body.bytes == NULL || u->client >= s->n) return;
    uint8_t digest[32], signature[64];
    msfl_statement_digest(u->body.bytes, s->roster, u->id, digest);
    msfl_receipt_digest(u->id, u->client, digest, digest);
    msfl_sign(s->coordinator_secret->sign, digest, 32, signature);
    msfl_buffer b = {0};
    msfl_frame_put(&b, MSFL_MSG_NEXT, MSFL_COORDINATOR, u->id);
    msfl_put64(&b, s->n_chunks);
    msfl_put32(&b, MSFL_NEXT_COMPLETE);
    msfl_put_bytes(&b, signature, sizeof signature);
    sim_send(s, MSFL_COORDINATOR, u->client, b.bytes, b.length);
    msfl_buffer_clear(&b);
}

/** A cohort of a round that is delivered to hospitals, one that was answered for rather than another. */
static const seen_cohort *some_cohort(sim *s) {
    const seen_cohort *found = NULL;
    for (int tries = 0; tries < 8 && s->n_cohorts > 0; tries++) {
        const seen_cohort *c = &s->cohorts[sim_below(s, s->n_cohorts)];
        const seen_round *round = check_round(s, c->id);
        if (round == NULL || round->a.delivery != MSFL_DELIVERY_CLIENTS || !round->genuine) continue;
        if (found == NULL || check_openable(s, c->hash)) found = c;
    }
    return found;
}

/** The members' answers for a cohort, by place: true, made by a corrupt member, or forged (`forge`: of the sum zero).
 */
static void answers_of(sim *s, const seen_cohort *c, bool forge, uint8_t *bodies[SIM_PARTIES_MAX]) {
    const uint32_t degree = msfl_packed_params(sim_ctx)->ring_degree;
    const size_t length = msfl_sealed_bytes(degree, s->n);
    uint32_t *zero = msfl_alloc(degree, sizeof *zero);
    for (uint32_t place = 0; place < s->k; place++) {
        const uint32_t party = s->r->members[place];
        const msfl_answer_binding binding = {c->id, c->hash, party, degree};
        bodies[place] = NULL;
        for (size_t i = 0; i < s->n_answers && !forge; i++) {
            const seen_answer *a = &s->answers[i];
            if (a->place == place && memcmp(a->cohort, c->hash, 32) == 0 && a->body.length == length)
                bodies[place] = sim_copy(a->body.bytes, length).bytes;
        }
        if (bodies[place] != NULL || !(forge || check_place_corrupt(s, place))) continue;
        bodies[place] = msfl_alloc(length, 1);
        const msfl_identity_secret *key = check_place_corrupt(s, place) ? s->secret[party] : s->coordinator_secret;
        if (msfl_sealed_make(&binding, key, s->r, zero, bodies[place]) != MSFL_OK) abort();
    }
    msfl_free(zero);
}

/** The sum over a cohort, with something added where `shift` says so; NULL if an upload is not whole. */
static lied_fold *fold(sim *s, const seen_cohort *c, bool nothing, uint32_t shift) {
    const size_t each = msfl_statement_bytes(s->k), full = msfl_packed_chunk_bytes(sim_ctx, s->n_values, 0);
    const uint32_t bits = 64 - (uint32_t)__builtin_clzll(msfl_packed_params(sim_ctx)->primes[0] - 1);
    msfl_packed_sum *sum;
    uint8_t *chunk = msfl_alloc(full, 1);
    uint64_t length = 0;
    lied_fold f = {{0}, {0}, {0}, {{NULL, 0}}};
    if (msfl_packed_sum_new(sim_ctx, c->id, s->n_values, &sum) != MSFL_OK) abort();
    for (uint64_t j = 0; j < s->n_chunks; j++)
        length += msfl_packed_chunk_bytes(sim_ctx, s->n_values, j);
    msfl_hash h;
    msfl_folded_hash_init(&h, c->id, c->hash, length);
    bool whole = true;
    for (uint64_t j = 0; j < s->n_chunks && whole; j++) {
        const size_t n = msfl_packed_chunk_bytes(sim_ctx, s->n_values, j);
        for (uint32_t i = 0; i < c->n && !nothing; i++) {
            const uint32_t client = msfl_load32(c->statements.bytes + i * each);
            if (check_client_corrupt(s, client)) continue; /* an upload of nothing, under the key zero */
            const seen_upload *u = check_upload(s, c->id, client);
            whole = whole && u != NULL && u->chunks[j].length == n &&
                    msfl_packed_fold(sim_ctx, sum, j, u->chunks[j].bytes, n) == MSFL_OK;
        }
        memset(chunk, 0, n);
        if (j == 0 && shift > 0) chunk[shift * bits] = 1; /* a constant, free of noise: coefficient 8 shift */
        whole = whole && msfl_packed_fold(sim_ctx, sum, j, chunk, n) == MSFL_OK;
        (void)!msfl_packed_sum_get(sim_ctx, sum, j, chunk);
        msfl_hash_add(&h, chunk, n);
        f.chunks[j] = sim_copy(chunk, n);
    }
    msfl_packed_sum_free(sum);
    msfl_free(chunk);
    memcpy(f.id, c->id, 32);
    memcpy(f.cohort, c->hash, 32);
    msfl_hash_final(&h, f.folded);
    if (!whole) {
        for (uint64_t j = 0; j < s->n_chunks; j++)
            msfl_free(f.chunks[j].bytes);
        return NULL;
    }
    lied_fold *kept = sim_add(&s->folds, &s->n_folds, &s->folds_capacity, sizeof *kept);
    *kept = f;
    return kept;
}

static void put_evidence(sim *s, const seen_cohort *c, uint8_t *bodies[SIM_PARTIES_MAX], msfl_buffer *b) {
    const seen_round *round = check_round(s, c->id);
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    uint32_t n = 0;
    msfl_announcement_sign(&round->a, s->coordinator_secret, announce);
    msfl_put_bytes(b, announce, sizeof announce);
    msfl_put32(b, c->n);
    msfl_put_bytes(b, c->statements.bytes, c->statements.length);
    liar_put_votes(s, c, b);
    for (uint32_t place = 0; place < s->k; place++)
        n += bodies[place] != NULL;
    msfl_put32(b, n);
    for (uint32_t place = 0; place < s->k; place++) {
        if (bodies[place] == NULL) continue;
        msfl_put32(b, s->r->members[place]);
        msfl_put_bytes(b, bodies[place], MSFL_SEALED_KEPT);
    }
}

static void free_bodies(const sim *s, uint8_t *bodies[SIM_PARTIES_MAX]) {
    for (uint32_t place = 0; place < s->k; place++)
        msfl_free(bodies[place]);
}

void lie_deliver(sim *s) {
    const seen_cohort *c = some_cohort(s);
    if (c == NULL) return;
    const bool forge = sim_chance(s, 0.2);
    const size_t sum_bytes = msfl_sealed_sum_bytes(msfl_packed_params(sim_ctx)->ring_degree);
    uint8_t *bodies[SIM_PARTIES_MAX], digest[32], signature[64];
    answers_of(s, c, forge, bodies);
    for (uint32_t client = 0; client < s->n; client++) {
        if (check_client_corrupt(s, client) || sim_chance(s, 0.2)) continue;
        const lied_fold *f = fold(s, c, forge, sim_chance(s, 0.6) ? 0 : 1 + (uint32_t)sim_below(s, 2));
        if (f == NULL) break;
        msfl_buffer b = {0};
        msfl_frame_put(&b, MSFL_MSG_DELIVER, MSFL_COORDINATOR, c->id);
        put_evidence(s, c, bodies, &b);
        msfl_delivery_digest(c->id, c->hash, f->folded, digest);
        msfl_sign(s->coordinator_secret->sign, digest, 32, signature);
        msfl_put_bytes(&b, f->folded, 32);
        msfl_put_bytes(&b, signature, 64);
        for (uint32_t place = 0; place < s->k; place++) {
            if (bodies[place] == NULL) continue;
            const uint8_t *sealed = bodies[place] + MSFL_SEALED_KEPT;
            msfl_put_bytes(&b, sealed, sum_bytes);
            msfl_put_bytes(&b, sealed + sum_bytes + (size_t)MSFL_WRAP_BYTES * client, MSFL_WRAP_BYTES);
        }
        sim_send(s, MSFL_COORDINATOR, client, b.bytes, b.length);
        msfl_buffer_clear(&b);
    }
    free_bodies(s, bodies);
}

/** A record of a delivered round: with reports that were made, those of corrupt hospitals, some of them for nothing
 * that anybody opened. */
void lie_sealed_record(sim *s) {
    const seen_cohort *c = some_cohort(s);
    if (c == NULL) return;
    const seen_report *some = NULL;
    for (size_t i = 0; i < s->n_reports; i++) {
        if (memcmp(s->reports[i].id, c->id, 32) == 0 && (some == NULL || sim_chance(s, 0.4))) some = &s->reports[i];
    }
    uint8_t result[32] = {0}, hash[32], signature[64], *bodies[SIM_PARTIES_MAX];
    if (some != NULL) memcpy(result, msfl_report_result(some->bytes), 32);
    answers_of(s, c, false, bodies);
    msfl_buffer record = {0}, reports = {0}, b = {0};
    uint32_t n = 0;
    msfl_put32(&record, 0x5254534du);
    msfl_put32(&record, 2);
    msfl_put32(&record, MSFL_OUTCOME_OPENED);
    put_evidence(s, c, bodies, &record);
    for (uint32_t client = 0; client < s->n; client++) {
        const seen_report *found = NULL;
        for (size_t i = 0; i < s->n_reports; i++) {
            const seen_report *r = &s->reports[i];
            if (msfl_load32(r->bytes) == client && memcmp(r->id, c->id, 32) == 0) found = r;
        }
        uint8_t made[MSFL_REPORT_BYTES];
        if (found != NULL) {
            memcpy(made, found->bytes, sizeof made);
        } else {
            /* A corrupt hospital says what it is told; in the others' names nobody can. */
            msfl_store32(made, client);
            msfl_store32(made + 4, MSFL_FOLD_TAKEN);
            msfl_store32(made + 8, 0);
            memcpy(made + 12, result, 32);
            if (!check_client_corrupt(s, client) && !sim_chance(s, 0.1)) continue;
            msfl_report_sign(c->id, c->hash,
                             check_client_corrupt(s, client) ? s->secret[client] : s->coordinator_secret, made);
        }
        msfl_put_bytes(&reports, made, sizeof made);
        n++;
    }
    msfl_put32(&record, n);
    msfl_put_bytes(&record, reports.bytes, reports.length);
    msfl_put_bytes(&record, result, 32);
    msfl_put32(&record, 0);
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.transcript.v1");
    msfl_hash_add(&h, record.bytes, record.length);
    msfl_hash_final(&h, hash);
    msfl_sign(s->coordinator_secret->sign, hash, 32, signature);
    msfl_put_bytes(&record, signature, 64);
    static const uint8_t zero[32];
    msfl_frame_put(&b, MSFL_MSG_RECORD, MSFL_COORDINATOR, zero);
    msfl_put_bytes(&b, record.bytes, record.length);
    for (uint32_t client = 0; client < s->n; client++)
        sim_send(s, MSFL_COORDINATOR, client, b.bytes, b.length);
    msfl_buffer_clear(&b);
    msfl_buffer_clear(&reports);
    msfl_buffer_clear(&record);
    free_bodies(s, bodies);
}
