/* A coordinator that lies: it has its own key, those of the corrupt members and clients, and all that was ever sent. */
#include "sim.h"

/** An announcement: of the next round, of an old one, of the same number with other contents. */
static void lie_announce(sim *s) {
    uint64_t highest = 0;
    for (size_t i = 0; i < s->n_rounds; i++) {
        if (s->rounds[i].genuine && s->rounds[i].a.info.number > highest) highest = s->rounds[i].a.info.number;
    }
    uint64_t number = sim_chance(s, 0.5) || highest == 0 ? highest + 1 : 1 + sim_below(s, highest + 1);
    msfl_announcement a = {.info = {.number = number,
                                    .n_clients = s->n,
                                    .min_cohort = sim_chance(s, 0.2) ? 2 : 3,
                                    .n_values = s->n_values,
                                    .params = *msfl_packed_params(sim_ctx)},
                           .deadline_ms = s->now + 3000,
                           .delivery =
                               sim_chance(s, s->to_hospitals) ? MSFL_DELIVERY_CLIENTS : MSFL_DELIVERY_COORDINATOR};
    memcpy(a.info.task, s->task, 32);
    memcpy(a.info.layout, s->layout, 32);
    memcpy(a.info.authority, msfl_roster_hash(s->roster), 32);
    if (sim_chance(s, 0.1)) a.info.authority[5] ^= 1; /* a roster with a committee of its own */
    a.info.model[0] = (uint8_t)sim_below(s, 3);
    a.previous[0] = (uint8_t)sim_below(s, 2);
    if (s->to_hospitals > 0 && sim_chance(s, 0.8)) {
        /* What some hospital waits for: the next number after what it has seen. */
        const node *n = &s->nodes[1 + sim_below(s, s->n)];
        a.info.number = n->history_number + 1 + (n->reported_number > n->history_number && sim_chance(s, 0.5));
        memcpy(a.previous, n->history, 32);
    }
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    msfl_announcement_sign(&a, s->coordinator_secret, announce);
    check_note_round(s, announce);
    uint8_t id[32];
    msfl_announcement_id(&a, id);
    msfl_buffer b = {0};
    msfl_frame_put(&b, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, id);
    msfl_put_bytes(&b, announce, sizeof announce);
    for (uint32_t i = 0; i < s->n; i++) {
        if (sim_chance(s, 0.8)) sim_send(s, MSFL_COORDINATOR, i, b.bytes, b.length);
    }
    msfl_buffer_clear(&b);
}

/** A corrupt client's upload: a key that the liar knows (zero), properly signed. */
static void lie_upload(sim *s, uint32_t client, const uint8_t id[32]) {
    if (check_upload(s, id, client) != NULL) return;
    const uint32_t degree = msfl_packed_params(sim_ctx)->ring_degree;
    const size_t head = msfl_statement_bytes(s->k), each = msfl_share_bytes(degree);
    uint8_t *body = msfl_alloc(head + s->k * each, 1);
    int32_t *key = msfl_alloc(degree, sizeof *key);
    msfl_statement statement = {.client = client};
    for (uint64_t j = 0; j < s->n_chunks; j++)
        statement.length += msfl_packed_chunk_bytes(sim_ctx, s->n_values, j);
    const msfl_share_binding binding = {id, statement.ciphertext_hash, client, degree};
    if (msfl_share_seal(&binding, s->r, key, body + head) != MSFL_OK) abort();
    for (uint32_t i = 0; i < s->k; i++)
        msfl_bundle_hash(body + head + i * each, each, statement.bundle_hash[i]);
    msfl_statement_sign(&statement, s->roster, id, s->secret[client], body);
    seen_upload *u = sim_add(&s->uploads, &s->n_uploads, &s->uploads_capacity, sizeof *u);
    memcpy(u->id, id, 32);
    u->client = client;
    u->body = (blob){body, head + s->k * each};
    msfl_free(key);
}

/** Some cohort of a round: what there is, or less, or more than that. */
static bool lie_cohort(sim *s, const seen_round *round, msfl_buffer *statements, uint32_t *n) {
    const size_t head = msfl_statement_bytes(s->k);
    const uint64_t how = sim_below(s, 10);
    *n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (check_client_corrupt(s, i)) lie_upload(s, i, round->id);
        const seen_upload *u = check_upload(s, round->id, i);
        if (u == NULL || u->body.bytes == NULL) {
            if (how != 7) continue;
            /* Forged: another client's statement with this one's number, or one of another round. */
            u = &s->uploads[sim_below(s, s->n_uploads == 0 ? 1 : s->n_uploads)];
            if (s->n_uploads == 0 || u->body.bytes == NULL) continue;
            msfl_put_bytes(statements, u->body.bytes, head);
            if (statements->status == MSFL_OK) msfl_store32(statements->bytes + *n * head, i);
            ++*n;
            continue;
        }
        if (how >= 3 && how <= 5 && sim_chance(s, 0.3)) continue; /* fewer */
        if (how == 6 && *n > 0) break;                            /* one alone */
        msfl_put_bytes(statements, u->body.bytes, head);
        ++*n;
        if (how == 8 && *n < s->n) { /* twice */
            msfl_put_bytes(statements, u->body.bytes, head);
            ++*n;
        }
    }
    if (how == 9 && *n > 0 && *n < s->n) {           /* an invented client, signed by a corrupt one or not at all */
        uint8_t last[108 + 32 * MSFL_COMMITTEE_MAX]; /* the buffer may move while it grows */
        memcpy(last, statements->bytes + (*n - 1) * head, head);
        msfl_put_bytes(statements, last, head);
        if (statements->status == MSFL_OK) {
            msfl_store32(statements->bytes + *n * head, s->n + (uint32_t)sim_below(s, 2));
        }
        ++*n;
    }
    return *n > 0;
}

static const seen_round *any_round(sim *s) {
    if (s->n_rounds == 0) return NULL;
    /* Mostly recent ones: those have uploads under way. */
    const uint64_t back =
        sim_chance(s, 0.7) ? sim_below(s, s->n_rounds < 3 ? s->n_rounds : 3) : sim_below(s, s->n_rounds);
    return &s->rounds[s->n_rounds - 1 - back];
}

static void put_announce(sim *s, const seen_round *round, msfl_buffer *b) {
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    msfl_announcement_sign(&round->a, round->genuine ? s->coordinator_secret : s->consortium, announce);
    msfl_put_bytes(b, announce, sizeof announce);
}

static void corrupt_votes(sim *s, const seen_round *round, const uint8_t cohort[32]) {
    for (uint32_t place = 0; place < s->k; place++) {
        if (!check_place_corrupt(s, place)) continue;
        seen_vote *v = sim_add(&s->votes, &s->n_votes, &s->votes_capacity, sizeof *v);
        *v = (seen_vote){.place = place, .number = round->a.info.number};
        memcpy(v->id, round->id, 32);
        memcpy(v->cohort, cohort, 32);
        msfl_vote_sign(round->id, cohort, s->secret[s->r->members[place]], v->signature);
    }
}

static void lie_propose(sim *s) {
    const seen_round *round = any_round(s);
    msfl_buffer statements = {0}, b = {0};
    uint32_t n;
    if (round != NULL && lie_cohort(s, round, &statements, &n)) {
        const bool known = s->n_cohorts > 0 && sim_chance(s, 0.3);
        if (known) { /* to members that were not asked before */
            const seen_cohort *c = &s->cohorts[sim_below(s, s->n_cohorts)];
            round = check_round(s, c->id);
            n = c->n;
            msfl_buffer_clear(&statements);
            msfl_put_bytes(&statements, c->statements.bytes, c->statements.length);
        }
        check_note_cohort(s, round->id, statements.bytes, n);
        uint8_t hash[32];
        msfl_cohort_hash(round->id, s->roster, statements.bytes, n, hash);
        corrupt_votes(s, round, hash);
        msfl_frame_put(&b, MSFL_MSG_PROPOSE, MSFL_COORDINATOR, round->id);
        put_announce(s, round, &b);
        msfl_put32(&b, n);
        msfl_put_bytes(&b, statements.bytes, statements.length);
        const double share = sim_chance(s, 0.5) ? 1 : 0.5;
        for (uint32_t i = 0; i < s->k; i++) {
            if (sim_chance(s, share)) sim_send(s, MSFL_COORDINATOR, s->r->members[i], b.bytes, b.length);
        }
    }
    msfl_buffer_clear(&statements);
    msfl_buffer_clear(&b);
}

/** The votes for a cohort as the liar would have them: true, repeated, invented. */
void liar_put_votes(sim *s, const seen_cohort *c, msfl_buffer *b) {
    const uint64_t how = sim_below(s, 5);
    msfl_buffer votes = {0};
    uint32_t n = 0;
    bool used[SIM_PARTIES_MAX] = {false};
    for (size_t i = 0; i < s->n_votes && n < s->t; i++) {
        const seen_vote *v = &s->votes[i];
        if (memcmp(v->cohort, c->hash, 32) != 0 || used[v->place]) continue;
        used[v->place] = true;
        do {
            msfl_put32(&votes, s->r->members[v->place]);
            msfl_put_bytes(&votes, v->signature, 64);
            n++;
        } while (how == 1 && n < s->t); /* one vote, t times */
    }
    for (uint32_t place = 0; how == 2 && place < s->k && n < s->t; place++) {
        if (used[place]) continue;
        uint8_t signature[64];
        msfl_vote_sign(c->id, c->hash, s->coordinator_secret, signature);
        msfl_put32(&votes, s->r->members[place]);
        msfl_put_bytes(&votes, signature, sizeof signature);
        n++;
    }
    msfl_put32(b, n);
    msfl_put_bytes(b, votes.bytes, votes.length);
    msfl_buffer_clear(&votes);
}

static void lie_release(sim *s) {
    if (s->n_cohorts == 0) return;
    const seen_cohort *c =
        &s->cohorts[s->n_cohorts - 1 - sim_below(s, s->n_cohorts < 6 || sim_chance(s, 0.3) ? s->n_cohorts : 6)];
    const seen_round *round = check_round(s, c->id);
    const uint32_t degree = msfl_packed_params(sim_ctx)->ring_degree;
    const size_t head = msfl_statement_bytes(s->k), each = msfl_share_bytes(degree);
    const bool substitute = sim_chance(s, 0.25);
    msfl_buffer common = {0};
    put_announce(s, round, &common);
    msfl_put32(&common, c->n);
    msfl_put_bytes(&common, c->statements.bytes, c->statements.length);
    liar_put_votes(s, c, &common);
    for (uint32_t place = 0; place < s->k; place++) {
        if (sim_chance(s, 0.3)) continue;
        msfl_buffer b = {0};
        msfl_frame_put(&b, MSFL_MSG_RELEASE, MSFL_COORDINATOR, round->id);
        msfl_put_bytes(&b, common.bytes, common.length);
        for (uint32_t i = 0; i < c->n; i++) {
            msfl_statement statement;
            msfl_statement_read(c->statements.bytes + i * head, s->k, &statement);
            const seen_upload *u = check_upload(s, c->id, statement.client);
            uint8_t bundles[SIM_PARTIES_MAX * 3000] = {0};
            if (u != NULL && u->body.bytes != NULL && !(substitute && i > 0)) {
                memcpy(bundles, u->body.bytes + head, s->k * each);
            } else {
                /* Shares of zero, which anybody can seal for a member: what is left is the first client's key. */
                int32_t *key = msfl_alloc(degree, sizeof *key);
                const msfl_share_binding binding = {c->id, statement.ciphertext_hash, statement.client, degree};
                if (msfl_share_seal(&binding, s->r, key, bundles) != MSFL_OK) abort();
                msfl_free(key);
            }
            msfl_put_bytes(&b, bundles + place * each, each);
        }
        sim_send(s, MSFL_COORDINATOR, s->r->members[place], b.bytes, b.length);
        *(blob *)sim_add(&s->said, &s->n_said, &s->said_capacity, sizeof(blob)) = sim_copy(b.bytes, b.length);
        msfl_buffer_clear(&b);
    }
    msfl_buffer_clear(&common);
}

/** A record of a round as this coordinator likes it: sites then hold it to that history. */
static void lie_record(sim *s) {
    const seen_round *round = any_round(s);
    if (round == NULL || !round->genuine) return;
    msfl_buffer b = {0}, record = {0};
    static const uint8_t zero[96];
    msfl_put32(&record, 0x5254534du);
    msfl_put32(&record, round->a.delivery == MSFL_DELIVERY_CLIENTS ? 2 : 1);
    msfl_put32(&record, MSFL_OUTCOME_ABORTED);
    put_announce(s, round, &record);
    for (int i = 0; i < 3; i++)
        msfl_put32(&record, 0);                                             /* no cohort, votes, answers */
    if (round->a.delivery == MSFL_DELIVERY_CLIENTS) msfl_put32(&record, 0); /* nor reports */
    msfl_put_bytes(&record, zero, 32);
    msfl_put32(&record, 1);
    msfl_put8(&record, (uint8_t)('a' + sim_below(s, 2)));
    uint8_t hash[32], signature[64];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.transcript.v1");
    msfl_hash_add(&h, record.bytes, record.length);
    msfl_hash_final(&h, hash);
    msfl_sign(s->coordinator_secret->sign, hash, 32, signature);
    msfl_put_bytes(&record, signature, 64);
    msfl_frame_put(&b, MSFL_MSG_RECORD, MSFL_COORDINATOR, zero);
    msfl_put_bytes(&b, record.bytes, record.length);
    for (uint32_t i = 0; i < s->n; i++) {
        if (sim_chance(s, 0.5)) sim_send(s, MSFL_COORDINATOR, i, b.bytes, b.length);
    }
    msfl_buffer_clear(&b);
    msfl_buffer_clear(&record);
}

void liar_act(sim *s, node *coordinator) {
    (void)coordinator;
    const uint64_t what = sim_below(s, 100);
    if (s->n_rounds > 0 && s->to_hospitals > 0 && sim_chance(s, 0.4)) {
        if (what < 60) {
            lie_deliver(s);
        } else if (what < 85) {
            lie_sealed_record(s);
        } else {
            lie_receipt(s);
        }
    } else if (what < 12 || s->n_rounds == 0) {
        lie_announce(s);
    } else if (what < 50) {
        lie_propose(s);
    } else if (what < 90) {
        lie_release(s);
    } else if (what < 93) {
        lie_record(s);
    } else if (s->n_said > 0) {
        const blob *b = &s->said[sim_below(s, s->n_said)];
        sim_send(s, MSFL_COORDINATOR, s->r->members[sim_below(s, s->k)], b->bytes, b->length);
    }
}
