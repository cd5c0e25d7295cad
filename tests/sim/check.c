/* The invariants: what may never leave an honest machine, whatever the others do. */
#include "sim.h"

seen_round *check_round(sim *s, const uint8_t id[32]) {
    for (size_t i = 0; i < s->n_rounds; i++) {
        if (memcmp(s->rounds[i].id, id, 32) == 0) return &s->rounds[i];
    }
    return NULL;
}

seen_upload *check_upload(sim *s, const uint8_t id[32], uint32_t client) {
    for (size_t i = 0; i < s->n_uploads; i++) {
        if (s->uploads[i].client == client && memcmp(s->uploads[i].id, id, 32) == 0) return &s->uploads[i];
    }
    return NULL;
}

seen_cohort *check_cohort(sim *s, const uint8_t hash[32]) {
    for (size_t i = 0; i < s->n_cohorts; i++) {
        if (memcmp(s->cohorts[i].hash, hash, 32) == 0) return &s->cohorts[i];
    }
    return NULL;
}

bool check_place_corrupt(const sim *s, uint32_t place) {
    return s->nodes[1 + s->n + place].corrupt;
}

bool check_client_corrupt(const sim *s, uint32_t client) {
    return client < s->n && s->nodes[1 + client].corrupt;
}

void check_note_round(sim *s, const uint8_t *announce) {
    msfl_announcement a;
    if (msfl_announcement_read(announce, &a) != MSFL_OK) return;
    uint8_t id[32];
    msfl_announcement_id(&a, id);
    uint8_t genuine[MSFL_ANNOUNCE_BODY];
    msfl_announcement_sign(&a, s->coordinator_secret, genuine);
    seen_round *round = check_round(s, id);
    if (round == NULL) {
        round = sim_add(&s->rounds, &s->n_rounds, &s->rounds_capacity, sizeof *round);
        memcpy(round->id, id, 32);
        round->a = a;
    }
    if (memcmp(genuine, announce, sizeof genuine) == 0 &&
        memcmp(a.info.authority, msfl_roster_hash(s->roster), 32) == 0) {
        round->genuine = true;
    }
}

void check_note_cohort(sim *s, const uint8_t id[32], const uint8_t *statements, uint32_t n) {
    uint8_t hash[32];
    msfl_cohort_hash(id, s->roster, statements, n, hash);
    if (check_cohort(s, hash) != NULL) return;
    seen_cohort *c = sim_add(&s->cohorts, &s->n_cohorts, &s->cohorts_capacity, sizeof *c);
    memcpy(c->id, id, 32);
    memcpy(c->hash, hash, 32);
    c->n = n;
    c->statements = sim_copy(statements, n * msfl_statement_bytes(s->k));
}

static void about_what(const msfl_announcement *a, uint8_t out[32]) {
    msfl_hash h;
    msfl_hash_init(&h, "sim.about");
    msfl_hash_add(&h, a->info.model, 32);
    msfl_hash_add(&h, a->info.layout, 32);
    msfl_hash_add(&h, a->info.authority, 32);
    msfl_hash_final(&h, out);
}

/* --- sites --- */

static seen_upload *enter(sim *s, const node *site, const uint8_t id[32]) {
    seen_upload *u = check_upload(s, id, site->party);
    if (u != NULL) return u;
    const seen_round *round = check_round(s, id);
    if (round == NULL || !round->genuine) {
        sim_fail(s, "site %u takes part in a round that its coordinator never announced for this roster", site->party);
        return NULL;
    }
    const uint64_t number = round->a.info.number;
    if (s->site_delivery != 0 && round->a.delivery != s->site_delivery) {
        sim_fail(s, "site %u takes part in a round that is opened by others than it insists on", site->party);
    }
    if (round->a.info.min_cohort < s->site_min) {
        sim_fail(s, "site %u takes part in a round that may open %u updates", site->party, round->a.info.min_cohort);
    }
    for (size_t i = 0; i < s->n_uploads; i++) {
        if (s->uploads[i].client != site->party) continue;
        if (check_round(s, s->uploads[i].id)->a.info.number >= number) {
            sim_fail(s, "site %u takes part in round %llu a second time, or after a later one", site->party,
                     (unsigned long long)number);
        }
    }
    u = sim_add(&s->uploads, &s->n_uploads, &s->uploads_capacity, sizeof *u);
    memcpy(u->id, id, 32);
    u->client = site->party;
    return u;
}

static void same_bytes(sim *s, blob *seen, const uint8_t *bytes, size_t length, const node *site) {
    if (seen->bytes == NULL) {
        *seen = sim_copy(bytes, length);
    } else if (seen->length != length || memcmp(seen->bytes, bytes, length) != 0) {
        sim_fail(s, "site %u sends two different ciphertexts or bundles in one round", site->party);
    }
}

static void site_reported(sim *s, const node *site, const uint8_t id[32], const uint8_t *report) {
    const uint8_t *result = msfl_report_result(report);
    for (size_t i = 0; i < s->n_reports; i++) {
        const seen_report *r = &s->reports[i];
        if (!r->honest || memcmp(r->id, id, 32) != 0) continue;
        const bool same = memcmp(msfl_report_result(r->bytes), result, 32) == 0;
        if (msfl_load32(r->bytes) == site->party) {
            if (memcmp(r->bytes, report, MSFL_REPORT_BYTES) != 0)
                sim_fail(s, "site %u reports twice, differently", site->party);
            return;
        }
        const bool sound = !site->broken && !s->nodes[1 + msfl_load32(r->bytes)].broken;
        if (!s->lying && same != sound) {
            sim_fail(s, "sites %u and %u report %s of one round", site->party, msfl_load32(r->bytes),
                     same ? "the same model, and one is broken," : "different results");
        }
    }
    seen_report *r = sim_add(&s->reports, &s->n_reports, &s->reports_capacity, sizeof *r);
    memcpy(r->id, id, 32);
    memcpy(r->bytes, report, MSFL_REPORT_BYTES);
    r->honest = true;
}

static void site_sent(sim *s, const node *site, uint32_t kind, const uint8_t *bytes, size_t length) {
    const uint8_t *body = bytes + MSFL_FRAME_BYTES;
    if (kind == MSFL_MSG_REPORT) {
        site_reported(s, site, bytes + 16, body);
        return;
    }
    seen_upload *u = enter(s, site, bytes + 16);
    if (u == NULL) return;
    if (kind == MSFL_MSG_CHUNK)
        same_bytes(s, &u->chunks[msfl_load64(body)], body + 8, length - MSFL_FRAME_BYTES - 8, site);
    if (kind == MSFL_MSG_UPLOAD) same_bytes(s, &u->body, body, length - MSFL_FRAME_BYTES, site);
}

void check_history(sim *s, const node *site, const msfl_announcement *a) {
    if (site->reported_number > site->history_number) {
        sim_fail(s, "site %u goes on without knowing that all have opened the same sum in round %llu", site->party,
                 (unsigned long long)site->reported_number);
    }
    if (site->history_number == 0) return;
    if (a->info.number <= site->history_number) {
        sim_fail(s, "site %u takes part in round %llu, whose end it has seen", site->party,
                 (unsigned long long)a->info.number);
    }
    if (a->info.number == site->history_number + 1 && memcmp(a->previous, site->history, 32) != 0) {
        sim_fail(s, "site %u takes part in a round of another history", site->party);
    }
}

/* --- members --- */

/** What is wrong with a cohort that an honest member agreed to. */
static const char *cohort_problem(sim *s, const seen_cohort *c, const msfl_announcement *a) {
    const size_t each = msfl_statement_bytes(s->k);
    if (c->n < a->info.min_cohort) return "it is smaller than the round's minimum";
    if (c->n < s->member_min) return "it is smaller than the member's own minimum";
    for (uint32_t i = 0; i < c->n; i++) {
        const uint8_t *statement = c->statements.bytes + i * each;
        const uint32_t client = msfl_load32(statement);
        for (uint32_t j = 0; j < i; j++) {
            if (msfl_load32(c->statements.bytes + j * each) == client) return "a client stands in it twice";
        }
        if (client >= s->n) return "a client in it is not in the roster";
        if (check_client_corrupt(s, client)) continue;
        const seen_upload *u = check_upload(s, c->id, client);
        if (u == NULL || u->body.bytes == NULL || memcmp(u->body.bytes, statement, each) != 0) {
            return "a statement in it was not made by its client";
        }
    }
    return NULL;
}

/** Rules that hold for votes and answers alike. */
static const seen_round *agree(sim *s, const node *n, uint32_t place, const uint8_t id[32], const uint8_t cohort[32],
                               uint8_t about[32]) {
    const seen_round *round = check_round(s, id);
    const seen_cohort *c = check_cohort(s, cohort);
    if (round == NULL || c == NULL || !round->genuine || memcmp(c->id, id, 32) != 0) {
        sim_fail(s, "member %u agrees to a cohort of a round that was never announced for this roster", n->party);
        return NULL;
    }
    const char *problem = cohort_problem(s, c, &round->a);
    const uint64_t number = round->a.info.number;
    if (problem != NULL) sim_fail(s, "member %u agrees to a cohort although %s", n->party, problem);
    about_what(&round->a, about);
    for (size_t i = 0; i < s->n_votes; i++) {
        const seen_vote *v = &s->votes[i];
        if (v->place != place || !v->honest) continue;
        if (v->number > number) sim_fail(s, "member %u goes back to an older round", n->party);
        if (v->number == number && memcmp(v->cohort, cohort, 32) != 0) {
            sim_fail(s, "member %u agrees to two cohorts in round %llu", n->party, (unsigned long long)number);
        }
    }
    for (size_t i = 0; i < s->n_answers; i++) {
        const seen_answer *v = &s->answers[i];
        if (v->place != place) continue;
        if (v->number > number) sim_fail(s, "member %u goes back to an older round", n->party);
        if (v->number == number && memcmp(v->cohort, cohort, 32) != 0) {
            sim_fail(s, "member %u agrees to two cohorts in round %llu", n->party, (unsigned long long)number);
        }
        if (v->number != number && memcmp(v->about, about, 32) == 0) {
            sim_fail(s, "member %u agrees to a second round about one model", n->party);
        }
    }
    return round;
}

static void member_voted(sim *s, const node *n, uint32_t place, const uint8_t *bytes) {
    uint8_t about[32];
    const uint8_t *id = bytes + 16, *cohort = bytes + MSFL_FRAME_BYTES;
    const seen_round *round = agree(s, n, place, id, cohort, about);
    if (round == NULL) return;
    for (size_t i = 0; i < s->n_votes; i++) {
        if (s->votes[i].place == place && memcmp(s->votes[i].cohort, cohort, 32) == 0) return;
    }
    seen_vote *v = sim_add(&s->votes, &s->n_votes, &s->votes_capacity, sizeof *v);
    *v = (seen_vote){.place = place, .number = round->a.info.number, .honest = true};
    memcpy(v->id, id, 32);
    memcpy(v->cohort, cohort, 32);
    memcpy(v->signature, cohort + 32, 64);
}

/** Members that answered for a cohort, the corrupt ones counted in. */
static uint32_t answerers(const sim *s, const uint8_t cohort[32]) {
    uint32_t count = 0;
    for (uint32_t place = 0; place < s->k; place++) {
        bool has = check_place_corrupt(s, place);
        for (size_t i = 0; i < s->n_answers; i++)
            has |= s->answers[i].place == place && memcmp(s->answers[i].cohort, cohort, 32) == 0;
        count += has;
    }
    return count;
}

bool check_openable(const sim *s, const uint8_t cohort[32]) {
    for (size_t i = 0; i < s->n_answers; i++) {
        if (memcmp(s->answers[i].cohort, cohort, 32) == 0) return answerers(s, cohort) >= s->t;
    }
    return false;
}

static uint32_t voters(const sim *s, const uint8_t cohort[32]) {
    uint32_t count = 0;
    for (uint32_t place = 0; place < s->k; place++) {
        bool has = check_place_corrupt(s, place);
        for (size_t i = 0; i < s->n_votes; i++)
            has |= s->votes[i].place == place && memcmp(s->votes[i].cohort, cohort, 32) == 0;
        count += has;
    }
    return count;
}

/** The answer must be the sum of exactly the shares that the clients of the cohort made for this member. */
static void check_content(sim *s, const node *n, uint32_t place, const uint8_t id[32], const uint8_t *body) {
    const uint32_t degree = msfl_packed_params(sim_ctx)->ring_degree;
    const size_t head = msfl_statement_bytes(s->k), each = msfl_share_bytes(degree);
    const seen_cohort *c = check_cohort(s, body);
    uint32_t *expected = msfl_alloc(degree, sizeof *expected), *found = msfl_alloc(degree, sizeof *found);
    uint8_t *scratch = msfl_alloc(msfl_share_scratch_bytes(degree), 1);
    const msfl_answer_binding binding = {id, body, n->party, degree};
    if (check_round(s, id)->a.delivery == MSFL_DELIVERY_CLIENTS) {
        /* For every hospital alike; and nothing that the coordinator's key opens. */
        const uint8_t *sealed = body + MSFL_SEALED_KEPT, *wraps = sealed + msfl_sealed_sum_bytes(degree);
        uint32_t *other = msfl_alloc(degree, sizeof *other);
        for (uint32_t i = 0; i < s->n; i++) {
            const uint8_t *wrap = wraps + (size_t)MSFL_WRAP_BYTES * i;
            if (msfl_sealed_open(&binding, s->r, i, s->coordinator_secret, body, sealed, wrap, found) == MSFL_OK)
                sim_fail(s, "member %u sends an answer that the coordinator can open", n->party);
            if (msfl_sealed_open(&binding, s->r, i, s->secret[i], body, sealed, wrap, found) != MSFL_OK)
                sim_fail(s, "member %u sends an answer that hospital %u cannot open", n->party, i);
            if (i > 0 && memcmp(found, other, degree * sizeof *found) != 0)
                sim_fail(s, "member %u sends different sums to different hospitals", n->party);
            memcpy(other, found, degree * sizeof *found);
        }
        msfl_free(other);
    } else if (msfl_answer_open(&binding, &s->id[n->party], &s->coordinator_id, s->coordinator_secret, body, found) !=
               MSFL_OK) {
        sim_fail(s, "member %u sends an answer that nobody can open", n->party);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        msfl_statement statement;
        msfl_statement_read(c->statements.bytes + i * head, s->k, &statement);
        const seen_upload *u = check_upload(s, c->id, statement.client);
        const msfl_share_binding b = {id, statement.ciphertext_hash, statement.client, degree};
        if (u == NULL || msfl_share_add(&b, s->r, place, s->secret[n->party], u->body.bytes + head + place * each,
                                        scratch, expected) != MSFL_OK) {
            sim_fail(s, "member %u answers for bundles that no client made", n->party);
        }
    }
    if (memcmp(expected, found, degree * sizeof *found) != 0) {
        sim_fail(s, "member %u answers with something else than the sum of its shares over the cohort", n->party);
    }
    msfl_free(expected);
    msfl_free(found);
    msfl_free(scratch);
}

static void member_answered(sim *s, const node *n, uint32_t place, const uint8_t *bytes, size_t length) {
    uint8_t about[32];
    const uint8_t *id = bytes + 16, *body = bytes + MSFL_FRAME_BYTES;
    const seen_round *round = agree(s, n, place, id, body, about);
    if (round == NULL || s->why[0] != 0) return;
    if (voters(s, body) < s->t)
        sim_fail(s, "member %u answers for a cohort that fewer than t members signed", n->party);
    for (size_t i = 0; i < s->n_answers; i++) {
        const seen_answer *v = &s->answers[i];
        if (v->place != place || v->number != round->a.info.number) continue;
        if (v->body.length != length - MSFL_FRAME_BYTES || memcmp(v->body.bytes, body, v->body.length) != 0) {
            sim_fail(s, "member %u answers twice, differently", n->party);
        }
        return;
    }
    check_content(s, n, place, id, body);
    seen_answer *v = sim_add(&s->answers, &s->n_answers, &s->answers_capacity, sizeof *v);
    *v = (seen_answer){.place = place, .number = round->a.info.number};
    memcpy(v->id, id, 32);
    memcpy(v->cohort, body, 32);
    memcpy(v->about, about, 32);
    v->body = sim_copy(body, length - MSFL_FRAME_BYTES);
    if (answerers(s, v->cohort) < s->t) return;
    for (size_t i = 0; i < s->n_answers; i++) {
        const seen_answer *other = &s->answers[i];
        if (memcmp(other->cohort, v->cohort, 32) == 0 || answerers(s, other->cohort) < s->t) continue;
        if (other->number == v->number || memcmp(other->about, v->about, 32) == 0) {
            sim_fail(s, "two sums over the same updates can be opened");
        }
    }
}

/* --- sums that hospitals open --- */

void check_opened(sim *s, const node *n) {
    const struct msfl_site *site = n->machine;
    s->delivered++;
    if (!check_openable(s, site->cohort)) {
        sim_fail(s, "site %u opens a sum of a cohort that t members never answered for", n->party);
        return;
    }
    bool in = false, plain = true;
    for (uint32_t i = 0; i < site->n_cohort; i++) {
        in |= site->cohort_clients[i] == n->party;
        plain &= !check_client_corrupt(s, site->cohort_clients[i]);
    }
    for (size_t i = 0; i < n->n_journal && !in; i++) {
        const blob *b = &n->journal[i];
        if (msfl_load32(b->bytes + 8) == MSFL_JOURNAL_RECEIPT &&
            memcmp(b->bytes + MSFL_JOURNAL_HEAD, site->round_id, 32) == 0) {
            sim_fail(s, "the upload of site %u was acknowledged, and it opens a sum without it", n->party);
        }
    }
    /* What a lying coordinator folded may be anything, unless the site folded it itself. */
    if (s->lying && (site->fold != MSFL_FOLD_OWN || !plain)) return;
    uint64_t *totals = msfl_alloc(s->n_values, sizeof *totals), *expected = msfl_alloc(s->n_values, sizeof *expected);
    uint32_t *slots = msfl_alloc(s->n_values, sizeof *slots);
    uint64_t at = 0;
    for (uint64_t j = 0; j < s->n_chunks; j++) {
        if (msfl_site_total(site, j, totals + at) != MSFL_OK)
            sim_fail(s, "a delivered sum does not open: %s", msfl_error_message());
        at += msfl_packed_chunk_slots(sim_ctx, s->n_values, j);
    }
    for (uint32_t i = 0; i < site->n_cohort; i++) {
        sim_slots(s, site->round_id, site->cohort_clients[i], slots);
        for (uint64_t v = 0; v < s->n_values; v++)
            expected[v] += slots[v];
    }
    if (memcmp(totals, expected, s->n_values * sizeof *totals) != 0)
        sim_fail(s, "site %u opens a sum that is not that of its cohort", n->party);
    for (uint32_t i = 0; i < s->k; i++) {
        if ((msfl_site_wrong(site) >> i & 1) != 0 && !check_place_corrupt(s, i))
            sim_fail(s, "an honest member is named a cheat");
    }
    msfl_free(totals);
    msfl_free(expected);
    msfl_free(slots);
}

void check_written(sim *s, node *n, const uint8_t *record, size_t length) {
    const uint32_t kind = msfl_load32(record + 8);
    const uint8_t *body = record + MSFL_JOURNAL_HEAD;
    if (kind == MSFL_JOURNAL_FINISHED) deliver_record(s, body, length - MSFL_JOURNAL_HEAD);
    if (kind == MSFL_JOURNAL_REPORTED) {
        msfl_announcement a;
        if (msfl_announcement_read(body, &a) != MSFL_OK) abort();
        n->reported_number = a.info.number;
        memcpy(n->reported_result, msfl_report_result(body + MSFL_ANNOUNCE_BODY), 32);
    }
    if (kind != MSFL_JOURNAL_HISTORY) return;
    n->history_number = msfl_load64(body);
    memcpy(n->history, body + 8, 32);
    if (length == MSFL_JOURNAL_HEAD + 40) return;
    s->settled++;
    if (n->reported_number != n->history_number || memcmp(n->reported_result, body + 40, 32) != 0) {
        sim_fail(s, "site %u goes on from a record of another sum than it opened", n->party);
    }
    /* The model that it made counts from now on. */
    uint8_t next[32];
    msfl_model_after(n->model, body + 40, next);
    memcpy(n->model, next, 32);
}

/** Where a delivery holds the hash of the folded sum. */
static size_t delivery_fold(const sim *s, const uint8_t *bytes) {
    size_t at = MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY;
    at += 4 + msfl_load32(bytes + at) * msfl_statement_bytes(s->k);
    at += 4 + (size_t)msfl_load32(bytes + at) * (4 + MSFL_SIGN_BYTES);
    return at + 4 + (size_t)msfl_load32(bytes + at) * (4 + MSFL_SEALED_KEPT);
}

void check_sent(sim *s, node *from, uint32_t to, const uint8_t *bytes, size_t length) {
    const uint32_t kind = msfl_load32(bytes + 8);
    if (from->kind == NODE_COORDINATOR) {
        if (kind == MSFL_MSG_DELIVER) {
            msfl_free(s->delivery.bytes);
            s->delivery = sim_copy(bytes, length);
            s->delivery_to = to;
            s->delivery_fold = delivery_fold(s, bytes);
        }
        if (kind == MSFL_MSG_ANNOUNCE) check_note_round(s, bytes + MSFL_FRAME_BYTES);
        if (kind == MSFL_MSG_PROPOSE || kind == MSFL_MSG_RELEASE) {
            const uint8_t *at = bytes + MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY;
            check_note_cohort(s, bytes + 16, at + 4, msfl_load32(at));
        }
        return;
    }
    if (from->corrupt) return;
    if (from->kind == NODE_SITE) site_sent(s, from, kind, bytes, length);
    if (from->kind == NODE_MEMBER) {
        const uint32_t place = msfl_member_place(s->r, from->party);
        if (kind == MSFL_MSG_VOTE) member_voted(s, from, place, bytes);
        if (kind == MSFL_MSG_ANSWER) member_answered(s, from, place, bytes, length);
    }
}

/* --- the honest coordinator's records --- */

void check_record(sim *s, const uint8_t *bytes, size_t length) {
    msfl_transcript t;
    if (msfl_transcript_verify(bytes, length, s->roster, NULL, &t) != MSFL_OK) {
        sim_fail(s, "a transcript does not verify: %s", msfl_error_message());
        return;
    }
    if (t.announcement.info.number == s->released_number &&
        (t.outcome != MSFL_OUTCOME_OPENED || memcmp(t.result, s->released_result, 32) != 0)) {
        sim_fail(s, "round %llu was opened, and is recorded as something else", (unsigned long long)s->released_number);
    }
    const size_t each = msfl_statement_bytes(s->k);
    for (uint32_t i = 0; i < t.n_cohort; i++) {
        const seen_upload *u = check_upload(s, t.round_id, msfl_load32(t.statements + i * each));
        if (u == NULL || u->body.bytes == NULL || memcmp(u->body.bytes, t.statements + i * each, each) != 0) {
            sim_fail(s, "a transcript holds an upload that its client did not make");
        }
    }
    if (t.outcome != MSFL_OUTCOME_OPENED) return;
    for (uint32_t client = 0; client < s->n; client++) {
        const node *site = &s->nodes[1 + client];
        uint8_t hash[32];
        for (size_t i = 0; i < site->n_journal; i++) {
            const blob *b = &site->journal[i];
            if (msfl_load32(b->bytes + 8) != MSFL_JOURNAL_RECEIPT) continue;
            if (memcmp(b->bytes + MSFL_JOURNAL_HEAD, t.round_id, 32) != 0) continue;
            if (!msfl_transcript_find(&t, s->roster, client, hash)) {
                sim_fail(s, "the upload of site %u was acknowledged and is not in the sum", client);
            }
        }
    }
}
