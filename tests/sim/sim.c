/* The world: machines, their disks, the network, time. */
#include "sim.h"

#include <stdarg.h>

enum { HEAL_AT = 3000, GIVE_UP_AFTER = 40000, EVENTS_MAX = 60000 };

msfl_packed *sim_ctx;
bool sim_verbose;
int sim_driver;

void sim_fail(sim *s, const char *fmt, ...) {
    if (s->why[0] != 0) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->why, sizeof s->why, fmt, args);
    va_end(args);
}

uint64_t sim_below(sim *s, uint64_t bound) {
    return msfl_seeded_below(&s->g, bound);
}

bool sim_chance(sim *s, double p) {
    return msfl_seeded_unit(&s->g) < p;
}

void *sim_add(void *list, size_t *n, size_t *capacity, size_t size) {
    void *array;
    memcpy(&array, list, sizeof array);
    if (msfl_grow(&array, capacity, *n + 1, size) != MSFL_OK) abort();
    memcpy(list, &array, sizeof array);
    void *item = (uint8_t *)array + (*n)++ * size;
    memset(item, 0, size);
    return item;
}

blob sim_copy(const uint8_t *bytes, size_t length) {
    blob b = {msfl_alloc(length, 1), length};
    if (b.bytes == NULL) abort();
    if (length > 0) memcpy(b.bytes, bytes, length);
    return b;
}

void sim_slots(const sim *s, const uint8_t id[32], uint32_t client, uint32_t *slots) {
    msfl_seeded g;
    msfl_seeded_init(&g, s->seed, "sim.slots", client, msfl_load64(id), 0);
    uint64_t bits = 0;
    for (uint64_t i = 0; i < s->n_values; i++) {
        if (i % 32 == 0) bits = msfl_seeded_u64(&g);
        slots[i] = (uint32_t)(bits >> (2 * (i % 32))) & 3;
    }
}

/* --- network --- */

void sim_send(sim *s, uint32_t from, uint32_t to, const uint8_t *bytes, size_t length) {
    uint32_t copies = s->healed || !sim_chance(s, s->loss) ? 1 : 0;
    if (!s->healed && sim_chance(s, s->dup)) copies++;
    for (; copies > 0; copies--) {
        packet *p = sim_add(&s->packets, &s->n_packets, &s->packets_capacity, sizeof *p);
        *p = (packet){s->now + 1 + sim_below(s, s->healed ? 5 : s->delay_max), from, to, sim_copy(bytes, length)};
        if (!s->healed && length > 0 && sim_chance(s, s->corrupt)) {
            /* Anywhere, or in the first bytes, where the lengths and kinds are; sometimes cut off. */
            size_t at = (size_t)sim_below(s, sim_chance(s, 0.5) ? length : length < 200 ? length : 200);
            p->b.bytes[at] ^= (uint8_t)(1u << sim_below(s, 8));
            if (sim_chance(s, 0.1)) p->b.length = (size_t)sim_below(s, length);
        }
    }
}

/* --- disks --- */

static msfl_status spool_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                             size_t length) {
    node *n = self;
    if (!n->sim->healed && sim_chance(n->sim, 0.002)) return MSFL_ERR_IO;
    spooled *found = NULL;
    for (size_t i = 0; i < n->n_spool; i++) {
        spooled *e = &n->spool[i];
        if (e->number == number && e->client == client && e->chunk == chunk) found = e;
    }
    if (found == NULL) found = sim_add(&n->spool, &n->n_spool, &n->spool_capacity, sizeof *found);
    msfl_free(found->b.bytes);
    *found = (spooled){number, chunk, client, false, sim_copy(bytes, length)};
    return MSFL_OK;
}

static msfl_status spool_get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes,
                             size_t length) {
    node *n = self;
    if (!n->sim->healed && sim_chance(n->sim, 0.002)) return MSFL_ERR_IO;
    for (size_t i = 0; i < n->n_spool; i++) {
        spooled *e = &n->spool[i];
        if (e->number != number || e->client != client || e->chunk != chunk || e->b.length != length) continue;
        memcpy(bytes, e->b.bytes, length);
        return MSFL_OK;
    }
    return MSFL_ERR_MISSING;
}

static void spool_forget(node *n, size_t i) {
    msfl_free(n->spool[i].b.bytes);
    n->spool[i] = n->spool[--n->n_spool];
}

static void spool_drop(node *n, uint64_t number) {
    for (size_t i = n->n_spool; i-- > 0;) {
        if (n->spool[i].number <= number) spool_forget(n, i);
    }
}

/* --- machines --- */

static void node_stop(node *n) {
    if (n->kind == NODE_COORDINATOR) msfl_coordinator_free(n->machine);
    if (n->kind == NODE_SITE) msfl_site_free(n->machine);
    if (n->kind == NODE_MEMBER) msfl_member_free(n->machine);
    n->machine = NULL;
    n->up = false;
}

static void node_crash(node *n) {
    sim *s = n->sim;
    if (sim_verbose)
        printf("%6llu  crash of node kind %d party %d\n", (unsigned long long)s->now, n->kind, (int)n->party);
    node_stop(n);
    for (size_t i = n->n_spool; i-- > 0;) {
        if (!n->spool[i].durable) spool_forget(n, i);
    }
    n->back_at = s->now + 1 + sim_below(s, 400);
}

static void node_start(node *n) {
    sim *s = n->sim;
    msfl_status status = MSFL_OK;
    const msfl_spool spool = {n, spool_put, spool_get};
    if (n->kind == NODE_COORDINATOR) {
        msfl_coordinator_config c = {s->roster, s->coordinator_secret, sim_ctx, {0}, spool, 100};
        memcpy(c.task, s->task, 32);
        msfl_coordinator *m;
        status = msfl_coordinator_new(&c, &m);
        n->machine = m;
    } else if (n->kind == NODE_SITE) {
        msfl_site_config c = {s->roster, s->secret[n->party], n->party, {0}, s->site_min, 0, true,
                              spool,     s->site_delivery};
        memcpy(c.task, s->task, 32);
        msfl_site *m;
        status = msfl_site_new(&c, &m);
        n->machine = m;
    } else {
        msfl_member_config c = {s->roster, s->secret[n->party], n->party, {0}, s->member_min, 0};
        memcpy(c.task, s->task, 32);
        msfl_member *m;
        status = msfl_member_new(&c, &m);
        n->machine = m;
    }
    if (status != MSFL_OK) {
        sim_fail(s, "a machine does not start: %s", msfl_error_message());
        return;
    }
    for (size_t i = 0; i < n->n_journal; i++) {
        const blob *b = &n->journal[i];
        if (n->kind == NODE_COORDINATOR) status = msfl_coordinator_replay(n->machine, b->bytes, b->length);
        if (n->kind == NODE_SITE) status = msfl_site_replay(n->machine, b->bytes, b->length);
        if (n->kind == NODE_MEMBER) status = msfl_member_replay(n->machine, b->bytes, b->length);
        if (status != MSFL_OK) {
            sim_fail(s, "a journal does not replay: %s", msfl_error_message());
            return;
        }
    }
    n->up = true;
    n->encrypted = 0;
}

static void write_journal(node *n, const msfl_effect *e) {
    check_written(n->sim, n, e->bytes, e->length);
    if (sim_driver == SIM_FORGETS + (int)msfl_load32(e->bytes + 8)) return;
    for (size_t i = 0; i < n->n_spool && sim_driver != SIM_SPOOL_LATE; i++)
        n->spool[i].durable = true;
    blob *b = sim_add(&n->journal, &n->n_journal, &n->journal_capacity, sizeof *b);
    *b = sim_copy(e->bytes, e->length);
}

/** A corrupt member answers with other shares than it has, properly signed. */
static void answer_wrongly(node *n, msfl_effect *e) {
    sim *s = n->sim;
    const uint32_t degree = msfl_packed_params(sim_ctx)->ring_degree;
    uint32_t *sum = msfl_alloc(degree, sizeof *sum);
    for (uint32_t i = 0; i < degree; i++)
        sum[i] = (uint32_t)sim_below(s, 786433);
    const msfl_answer_binding b = {e->bytes + 16, e->bytes + MSFL_FRAME_BYTES, n->party, degree};
    uint8_t cohort[32];
    memcpy(cohort, e->bytes + MSFL_FRAME_BYTES, 32);
    const msfl_answer_binding own = {b.round_id, cohort, b.member, b.ring_degree};
    if (e->length == MSFL_FRAME_BYTES + msfl_sealed_bytes(degree, s->n)) {
        if (msfl_sealed_make(&own, s->secret[n->party], s->r, sum, e->bytes + MSFL_FRAME_BYTES) != MSFL_OK) abort();
    } else if (msfl_answer_seal(&own, s->secret[n->party], &s->coordinator_id, sum, e->bytes + MSFL_FRAME_BYTES) !=
               MSFL_OK)
        abort();
    msfl_free(sum);
}

/** Carry out what a machine wants, in order, with a crash possible before each of it. */
static void carry_out(node *n, msfl_effects *effects) {
    sim *s = n->sim;
    for (int pass = 0; pass < (sim_driver == SIM_SENDS_FIRST ? 2 : 1); pass++) {
        for (size_t i = 0; i < effects->n && s->why[0] == 0; i++) {
            msfl_effect *e = &effects->items[i];
            if (sim_driver == SIM_SENDS_FIRST && (e->kind == MSFL_EFFECT_SEND) != (pass == 0)) continue;
            if (!s->healed && sim_chance(s, s->crash)) {
                node_crash(n);
                goto done;
            }
            if (e->kind == MSFL_EFFECT_JOURNAL) write_journal(n, e);
            if (e->kind == MSFL_EFFECT_DROP) spool_drop(n, e->number);
            if (e->kind == MSFL_EFFECT_RECORD) check_record(s, e->bytes, e->length);
            if (e->kind != MSFL_EFFECT_SEND) continue;
            if (n->corrupt && n->kind == NODE_MEMBER && msfl_load32(e->bytes + 8) == MSFL_MSG_ANSWER) {
                answer_wrongly(n, e);
            }
            check_sent(s, n, e->to, e->bytes, e->length);
            sim_send(s, n->kind == NODE_COORDINATOR ? MSFL_COORDINATOR : n->party, e->to, e->bytes, e->length);
        }
    }
done:
    msfl_effects_clear(effects);
}

static uint64_t clock_of(const node *n) {
    const int64_t t = (int64_t)n->sim->now + n->clock_offset;
    return t < 0 ? 0 : (uint64_t)t;
}

msfl_status sim_give(node *n, uint32_t from, const uint8_t *bytes, size_t length) {
    msfl_effects effects = {0};
    msfl_status status = MSFL_OK;
    if (n->kind == NODE_COORDINATOR && !n->sim->lying) {
        status = msfl_coordinator_receive(n->machine, clock_of(n), from, bytes, length, &effects);
    } else if (n->kind == NODE_SITE) {
        status = msfl_site_receive(n->machine, clock_of(n), bytes, length, &effects);
    } else if (n->kind == NODE_MEMBER) {
        status = msfl_member_receive(n->machine, from, bytes, length, &effects);
    }
    if (status != MSFL_OK && effects.n != 0) sim_fail(n->sim, "a failed call left effects");
    carry_out(n, &effects);
    return status;
}

static void deliver(sim *s, packet *p) {
    for (size_t i = 0; i < s->n_nodes; i++) {
        node *n = &s->nodes[i];
        const uint32_t address = n->kind == NODE_COORDINATOR ? MSFL_COORDINATOR : n->party;
        if (address != p->to || !n->up) continue;
        msfl_status status = sim_give(n, p->from, p->b.bytes, p->b.length);
        if (sim_verbose && p->b.length >= 16) {
            printf("%6llu  %d -> %d kind %u (%zu bytes): %s\n", (unsigned long long)s->now, (int)p->from, (int)p->to,
                   msfl_load32(p->b.bytes + 8), p->b.length, status == MSFL_OK ? "ok" : msfl_error_message());
        }
    }
}

/* --- what the parties do on their own --- */

static void hand_out_totals(sim *s, node *n, msfl_effects *effects) {
    msfl_coordinator *c = n->machine;
    const msfl_announcement *a = msfl_coordinator_round(c);
    uint8_t id[32], result[32];
    msfl_announcement_id(a, id);
    size_t n_cohort, n_cheats;
    const uint32_t *cohort = msfl_coordinator_cohort(c, &n_cohort);
    uint64_t *totals = msfl_alloc(s->n_values, sizeof *totals), *expected = msfl_alloc(s->n_values, sizeof *expected);
    uint32_t *slots = msfl_alloc(s->n_values, sizeof *slots);
    uint64_t at = 0;
    for (uint64_t j = 0; j < s->n_chunks; j++) {
        msfl_status status = msfl_coordinator_total(c, j, totals + at);
        if (status == MSFL_ERR_IO) goto done;
        if (status != MSFL_OK) sim_fail(s, "an opened round does not open: %s", msfl_error_message());
        at += msfl_packed_chunk_slots(sim_ctx, s->n_values, j);
    }
    for (size_t i = 0; i < n_cohort; i++) {
        sim_slots(s, id, cohort[i], slots);
        for (uint64_t v = 0; v < s->n_values; v++)
            expected[v] += slots[v];
    }
    if (memcmp(totals, expected, s->n_values * sizeof *totals) != 0) {
        sim_fail(s, "round %llu: the sum is not that of its cohort", (unsigned long long)a->info.number);
    }
    const uint32_t *cheats = msfl_coordinator_cheats(c, &n_cheats);
    for (size_t i = 0; i < n_cheats; i++) {
        if (!check_place_corrupt(s, msfl_member_place(s->r, cheats[i])))
            sim_fail(s, "an honest member is named a cheat");
    }
    msfl_result_hash(totals, s->n_values, result);
    if (s->released_number == a->info.number && memcmp(result, s->released_result, 32) != 0) {
        sim_fail(s, "round %llu was opened twice, differently", (unsigned long long)a->info.number);
    }
    s->released_number = a->info.number;
    memcpy(s->released_result, result, 32);
    if (!s->healed && sim_chance(s, 0.3)) { /* later, if nothing comes between */
        if (s->crash > 0 && sim_chance(s, 0.3)) node_crash(n);
        goto done;
    }
    if (msfl_coordinator_finish(c, result, effects) == MSFL_OK) {
        s->opened++;
        s->opened_healed += s->healed;
        s->model_used = true;
    }
done:
    msfl_free(totals);
    msfl_free(expected);
    msfl_free(slots);
}

static void act_coordinator(sim *s, node *n) {
    msfl_effects effects = {0};
    msfl_coordinator *c = n->machine;
    msfl_status status = MSFL_OK;
    const msfl_phase phase = msfl_coordinator_phase(c);
    if (phase == MSFL_PHASE_OPENED) {
        hand_out_totals(s, n, &effects);
    } else if (phase == MSFL_PHASE_DELIVERING) {
        deliver_coordinator(s, n, &effects);
    } else if (phase == MSFL_PHASE_IDLE) {
        if (s->model_used) deliver_new_model(s);
        msfl_round_offer o = {.min_cohort = s->min_cohort,
                              .n_values = s->n_values,
                              .deadline_ms = clock_of(n) + 300 + sim_below(s, 1000),
                              .delivery = MSFL_DELIVERY_COORDINATOR};
        if (sim_chance(s, s->to_hospitals)) o.delivery = MSFL_DELIVERY_CLIENTS;
        memcpy(o.model, s->model, 32);
        memcpy(o.layout, s->layout, 32);
        status = msfl_coordinator_open(c, clock_of(n), &o, &effects);
        if (s->r->custody == MSFL_CUSTODY_COORDINATOR && o.delivery == MSFL_DELIVERY_CLIENTS) {
            if (status != MSFL_ERR_POLICY) sim_fail(s, "a coordinator that holds the keys delivers to hospitals");
            status = MSFL_OK;
        }
        if (status != MSFL_OK) sim_fail(s, "no round can be opened: %s", msfl_error_message());
    } else if (!s->healed && sim_chance(s, phase == MSFL_PHASE_RELEASING ? 0.04 : 0.01)) {
        /* Given up by its operator. Past the release some members may have answered: on to another model. */
        if (phase == MSFL_PHASE_RELEASING || sim_driver != SIM_SOUND) s->model_used = true;
        if (msfl_coordinator_abort(c, "given up", &effects) == MSFL_OK) s->aborted++;
    } else {
        status = msfl_coordinator_tick(c, clock_of(n), &effects);
        if (status != MSFL_OK && status != MSFL_ERR_IO && effects.n > 0) sim_fail(s, "a failed tick left effects");
    }
    carry_out(n, &effects);
}

static void act_site(sim *s, node *n) {
    msfl_effects effects = {0};
    msfl_site *site = n->machine;
    const msfl_site_phase phase = msfl_site_phase_of(site);
    if (phase == MSFL_SITE_OFFERED && (s->healed || sim_chance(s, 0.7))) {
        const msfl_announcement a = *msfl_site_round(site);
        const bool has = deliver_has_model(s, n, a.info.model) || s->lying;
        if (has && msfl_site_start(site, sim_ctx, a.info.model, a.info.layout, &effects) == MSFL_OK) {
            n->encrypted = 0;
            check_history(s, n, &a);
        }
    } else if (phase == MSFL_SITE_ENCRYPTING) {
        uint8_t id[32];
        msfl_announcement_id(msfl_site_round(site), id);
        if (n->encrypted < s->n_chunks) {
            uint32_t *slots = msfl_alloc(s->n_values, sizeof *slots);
            sim_slots(s, id, n->party, slots);
            uint64_t at = 0;
            for (uint64_t j = 0; j < n->encrypted; j++)
                at += msfl_packed_chunk_slots(sim_ctx, s->n_values, j);
            if (msfl_site_encrypt(site, n->encrypted, slots + at, &effects) == MSFL_OK) n->encrypted++;
            msfl_free(slots);
        } else {
            (void)!msfl_site_finish(site, &effects);
        }
    } else if (phase == MSFL_SITE_UPLOADING && sim_chance(s, 0.3)) {
        (void)!msfl_site_resend(site, &effects);
    } else if (phase == MSFL_SITE_DELIVERED || phase == MSFL_SITE_OPENED) {
        deliver_site(s, n, &effects);
    }
    carry_out(n, &effects);
    if (!s->lying && n->up && sim_chance(s, s->healed ? 0.5 : 0.1)) deliver_catch_up(s, n);
    /* It dials in and asks what there is. */
    if (!s->lying && n->up && s->nodes[0].up && sim_chance(s, 0.3)) {
        (void)!msfl_coordinator_poll(s->nodes[0].machine, n->party, &effects);
        carry_out(&s->nodes[0], &effects);
    }
}

/** A stranger on the network sends uploads, votes and announcements in the names of others, badly signed. */
static void act_stranger(sim *s) {
    const seen_round *round = s->n_rounds == 0 ? NULL : &s->rounds[s->n_rounds - 1];
    const uint32_t party = (uint32_t)sim_below(s, s->n);
    if (round == NULL) return;
    msfl_buffer b = {0};
    if (s->delivery.length > 0 && sim_chance(s, 0.3)) {
        /* The last delivery, with another sum than the coordinator signed. */
        msfl_put_bytes(&b, s->delivery.bytes, s->delivery.length);
        b.bytes[s->delivery_fold + sim_below(s, 32)] ^= 1;
        sim_send(s, MSFL_COORDINATOR, s->delivery_to, b.bytes, b.length);
    } else if (s->n_reports > 0 && sim_chance(s, 0.3)) {
        const seen_report *r = &s->reports[s->n_reports - 1];
        uint8_t report[MSFL_REPORT_BYTES];
        memcpy(report, r->bytes, sizeof report);
        msfl_store32(report, party);
        report[12] ^= (uint8_t)sim_below(s, 2);
        msfl_frame_put(&b, MSFL_MSG_REPORT, party, r->id);
        msfl_put_bytes(&b, report, sizeof report);
        sim_send(s, party, MSFL_COORDINATOR, b.bytes, b.length);
    } else if (sim_chance(s, 0.5)) {
        /* The chunks are anybody's; the statement says the right things but for its signature. */
        const size_t head = msfl_statement_bytes(s->k);
        seen_upload *u = &s->uploads[sim_below(s, s->n_uploads == 0 ? 1 : s->n_uploads)];
        if (s->n_uploads == 0 || u->body.length == 0 || u->client != party) return;
        uint8_t *body = sim_copy(u->body.bytes, u->body.length).bytes;
        msfl_frame_put(&b, MSFL_MSG_UPLOAD, party, u->id);
        body[head - 1 - sim_below(s, 64)] ^= (uint8_t)(1 + sim_below(s, 255));
        msfl_put_bytes(&b, body, u->body.length);
        msfl_free(body);
        sim_send(s, party, MSFL_COORDINATOR, b.bytes, b.length);
    } else {
        uint8_t announce[MSFL_ANNOUNCE_BODY];
        msfl_announcement a = round->a;
        a.info.number += 1 + sim_below(s, 2);
        a.info.model[31] = (uint8_t)sim_below(s, 256);
        msfl_announcement_sign(&a, s->consortium, announce); /* some key, not the coordinator's */
        uint8_t id[32];
        msfl_announcement_id(&a, id);
        check_note_round(s, announce);
        msfl_frame_put(&b, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, id);
        msfl_put_bytes(&b, announce, sizeof announce);
        sim_send(s, MSFL_COORDINATOR, party, b.bytes, b.length);
    }
    msfl_buffer_clear(&b);
}

/* --- the run --- */

static void make_world(sim *s) {
    const double calm = sim_chance(s, 0.2) ? 0 : 1;
    s->lying = sim_chance(s, 0.45);
    s->n = 3 + (uint32_t)sim_below(s, SIM_CLIENTS_MAX - 2);
    s->min_cohort = sim_chance(s, 0.15) ? 2 : 3;
    s->site_min = s->member_min = s->min_cohort;
    if (s->lying && sim_chance(s, 0.3)) s->site_min = 2; /* careless hospitals, careful members */
    s->loss = calm * 0.2 * msfl_seeded_unit(&s->g);
    s->dup = calm * 0.2 * msfl_seeded_unit(&s->g);
    s->corrupt = calm * 0.15 * msfl_seeded_unit(&s->g);
    s->crash = calm * 0.02 * msfl_seeded_unit(&s->g);
    s->delay_max = 1 + (uint32_t)sim_below(s, 150);
    s->n_chunks = 1 + sim_below(s, 2);
    s->n_values = (s->n_chunks - 1) * msfl_packed_chunk_slots(sim_ctx, UINT64_C(1) << 20, 0) + 1 + sim_below(s, 400);
    memset(s->task, 't', 32);
    memset(s->layout, 'l', 32);
    memset(s->model, 'm', 32);
    s->to_hospitals = sim_chance(s, 0.5) ? s->lying && sim_chance(s, 0.4) ? 0.5 : 1 : 0;
    if (sim_chance(s, 0.3)) {
        s->site_delivery = s->lying               ? (msfl_delivery)(1 + sim_below(s, 2))
                           : s->to_hospitals == 1 ? MSFL_DELIVERY_CLIENTS
                           : s->to_hospitals == 0 ? MSFL_DELIVERY_COORDINATOR
                                                  : 0;
    }
    uint8_t seed[32] = {0};
    const msfl_custody custody = s->lying || sim_chance(s, 0.8) ? MSFL_CUSTODY_COMMITTEE
                                 : sim_chance(s, 0.5)           ? MSFL_CUSTODY_AUTHORITY
                                                                : MSFL_CUSTODY_COORDINATOR;
    if (custody == MSFL_CUSTODY_COORDINATOR) {
        if (s->to_hospitals == 1) s->to_hospitals = 0.5;
        s->site_delivery = 0;
    }
    for (uint32_t i = 0; i < SIM_PARTIES_MAX + 2; i++) {
        seed[0] = (uint8_t)i;
        msfl_store64(seed + 1, s->seed);
        msfl_identity *id = i < SIM_PARTIES_MAX    ? &s->id[i]
                            : i == SIM_PARTIES_MAX ? &s->coordinator_id
                                                   : &s->consortium_id;
        msfl_identity_secret **secret = i < SIM_PARTIES_MAX    ? &s->secret[i]
                                        : i == SIM_PARTIES_MAX ? &s->coordinator_secret
                                                               : &s->consortium;
        if (msfl_identity_new(seed, id, secret) != MSFL_OK) abort();
    }
    uint32_t members[SIM_PARTIES_MAX];
    s->n_parties = s->n;
    if (custody == MSFL_CUSTODY_COMMITTEE) {
        s->k = s->n > 3 && sim_chance(s, 0.3) ? s->n - 1 : s->n;
        const uint32_t first = s->n - s->k;
        for (uint32_t i = 0; i < s->k; i++)
            members[i] = first + i;
        msfl_committee_default(s->k, &s->t, &s->f);
    } else {
        s->k = s->t = 1;
        members[0] = s->n_parties++;
        if (custody == MSFL_CUSTODY_COORDINATOR) {
            s->id[members[0]] = s->coordinator_id;
            memcpy(s->secret[members[0]], s->coordinator_secret, sizeof *s->coordinator_secret);
        }
    }
    const msfl_roster_info info = {1, custody, s->coordinator_id, s->id, s->n_parties, s->n, members, s->k, s->t, s->f};
    uint8_t *bytes = msfl_alloc(msfl_roster_bytes(&info), 1);
    if (msfl_roster_sign(&info, s->consortium, bytes) != MSFL_OK ||
        msfl_roster_read(bytes, msfl_roster_bytes(&info), s->consortium_id.sign, &s->roster) != MSFL_OK) {
        sim_fail(s, "no roster: %s", msfl_error_message());
        return;
    }
    msfl_free(bytes);
    s->r = msfl_roster_borrow(s->roster);
    s->nodes[s->n_nodes++] = (node){.sim = s, .kind = NODE_COORDINATOR, .party = MSFL_COORDINATOR};
    for (uint32_t i = 0; i < s->n; i++)
        s->nodes[s->n_nodes++] = (node){.sim = s, .kind = NODE_SITE, .party = i};
    for (uint32_t i = 0; i < s->k; i++)
        s->nodes[s->n_nodes++] = (node){.sim = s, .kind = NODE_MEMBER, .party = members[i]};
    /* Cheats and the dead: as many as the threshold bears, with all that live needed for progress. */
    uint32_t spare = s->k - s->t;
    for (uint32_t i = 0; i < s->k; i++) {
        node *n = &s->nodes[1 + s->n + i];
        if (i < s->f && sim_chance(s, 0.7) && (s->lying || spare > 0)) {
            n->corrupt = true;
            if (spare > 0) spare--;
        } else if (!s->lying && spare > 0 && sim_chance(s, 0.3)) {
            n->dead = true;
            spare--;
        }
    }
    uint32_t spare_clients = s->n - s->min_cohort;
    for (uint32_t i = 0; i < s->n && spare_clients > 0; i++) {
        node *n = &s->nodes[1 + i];
        if (s->lying ? i == s->n - 1 && sim_chance(s, 0.5) : sim_chance(s, 0.2)) {
            n->dead = !s->lying;
            n->corrupt = s->lying;
            spare_clients--;
        }
        if (!s->lying && !n->dead && spare_clients > 0 && sim_chance(s, 0.05)) {
            n->broken = true;
            spare_clients--;
        }
    }
    for (uint32_t i = 0; i < s->n; i++) {
        s->nodes[1 + i].folds = sim_chance(s, 0.3);
        memcpy(s->nodes[1 + i].model, s->model, 32);
    }
    *(blob *)sim_add(&s->models, &s->n_models, &s->models_capacity, sizeof(blob)) = sim_copy(s->model, 32);
    for (size_t i = 0; i < s->n_nodes; i++) {
        node *n = &s->nodes[i];
        if (n->dead) continue;
        n->timer = sim_below(s, 30);
        if (!(s->lying && n->kind == NODE_COORDINATOR)) node_start(n);
        n->up = true;
    }
}

static void heal(sim *s) {
    s->healed = true;
    s->healed_at = s->now;
    for (size_t i = 0; i < s->n_nodes; i++) {
        s->nodes[i].clock_offset = 0;
        if (!s->nodes[i].up && !s->nodes[i].dead) s->nodes[i].back_at = s->now;
    }
}

static void act(sim *s, node *n) {
    if (!s->healed && sim_chance(s, 0.01)) n->clock_offset = (int64_t)sim_below(s, 4000) - 2000;
    if (!s->healed && sim_chance(s, s->crash * 0.3) && !(s->lying && n->kind == NODE_COORDINATOR)) {
        node_crash(n);
        return;
    }
    if (n->kind == NODE_COORDINATOR && s->lying) {
        liar_act(s, n);
    } else if (n->kind == NODE_COORDINATOR) {
        act_coordinator(s, n);
        if (!s->healed && sim_chance(s, 0.1)) act_stranger(s);
    } else if (n->kind == NODE_SITE && !n->corrupt) {
        act_site(s, n);
    }
}

static void step(sim *s) {
    uint64_t next = UINT64_MAX;
    node *who = NULL;
    size_t which = SIZE_MAX;
    for (size_t i = 0; i < s->n_nodes; i++) {
        node *n = &s->nodes[i];
        if (n->dead) continue;
        const uint64_t at = n->up ? n->timer : n->back_at;
        if (at < next) {
            next = at;
            who = n;
        }
    }
    for (size_t i = 0; i < s->n_packets; i++) {
        if (s->packets[i].at < next) {
            next = s->packets[i].at;
            which = i;
        }
    }
    if (next > s->now) s->now = next;
    if (!s->healed && s->now >= HEAL_AT) heal(s);
    s->n_events++;
    if (which != SIZE_MAX) {
        packet p = s->packets[which];
        s->packets[which] = s->packets[--s->n_packets];
        deliver(s, &p);
        msfl_free(p.b.bytes);
    } else if (!who->up) {
        node_start(who);
        who->timer = s->now + 1 + sim_below(s, 40);
    } else {
        who->timer = s->now + 20 + sim_below(s, 40);
        act(s, who);
    }
}

static void free_world(sim *s) {
    for (size_t i = 0; i < s->n_nodes; i++) {
        node *n = &s->nodes[i];
        node_stop(n);
        for (size_t j = 0; j < n->n_journal; j++)
            msfl_free(n->journal[j].bytes);
        while (n->n_spool > 0)
            spool_forget(n, n->n_spool - 1);
        msfl_free(n->journal);
        msfl_free(n->spool);
    }
    for (size_t i = 0; i < s->n_packets; i++)
        msfl_free(s->packets[i].b.bytes);
    for (size_t i = 0; i < s->n_uploads; i++) {
        msfl_free(s->uploads[i].body.bytes);
        for (int j = 0; j < SIM_CHUNKS_MAX; j++)
            msfl_free(s->uploads[i].chunks[j].bytes);
    }
    for (size_t i = 0; i < s->n_cohorts; i++)
        msfl_free(s->cohorts[i].statements.bytes);
    for (size_t i = 0; i < s->n_answers; i++)
        msfl_free(s->answers[i].body.bytes);
    for (size_t i = 0; i < s->n_said; i++)
        msfl_free(s->said[i].bytes);
    deliver_free(s);
    msfl_free(s->packets);
    msfl_free(s->rounds);
    msfl_free(s->uploads);
    msfl_free(s->cohorts);
    msfl_free(s->votes);
    msfl_free(s->answers);
    msfl_free(s->said);
    for (int i = 0; i < SIM_PARTIES_MAX; i++)
        msfl_identity_free(s->secret[i]);
    msfl_identity_free(s->coordinator_secret);
    msfl_identity_free(s->consortium);
    msfl_roster_free(s->roster);
}

bool sim_run(uint64_t seed, char *why, size_t why_length, uint64_t totals[SIM_TOTALS]) {
    sim *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) abort();
    s->seed = seed;
    msfl_seeded_init(&s->g, seed, "sim.world", 0, 0, 0);
    sim_ideal_seed(seed);
    make_world(s);
    while (s->why[0] == 0) {
        if (s->lying ? s->now > HEAL_AT : s->opened_healed > 0 && deliver_all_follow(s)) break;
        step(s);
        if (s->healed && !s->lying && (s->now > s->healed_at + GIVE_UP_AFTER || s->n_events > EVENTS_MAX)) {
            sim_fail(s, "no progress: no round was opened in %d ms without faults, t of k members alive",
                     GIVE_UP_AFTER);
        }
    }
    const bool good = s->why[0] == 0;
    snprintf(why, why_length, "%s", s->why);
    totals[0] += s->opened;
    totals[1] += s->aborted;
    totals[2] += s->n_events;
    totals[s->lying ? 4 : 3] += s->n_answers;
    totals[s->lying ? 7 : 6] += s->delivered;
    if (s->lying) totals[8] += s->settled;
    for (size_t i = 0; s->lying && i < s->n_cohorts; i++)
        totals[5] += check_openable(s, s->cohorts[i].hash);
    free_world(s);
    msfl_free(s);
    return good;
}
