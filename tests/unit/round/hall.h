/* All machines of a task in one process, with real cryptography: disks are lists, the network is a loop. */
#ifndef TEST_ROUND_HALL_H
#define TEST_ROUND_HALL_H

#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "medsecurefl/transcript.h"
#include "round/journal.h"
#include "round/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HALL_PLAIN /* in fuzzers */
#define assert_non_null(p)                                                                                             \
    do {                                                                                                               \
        if ((p) == NULL) abort();                                                                                      \
    } while (0)
#define assert_true(c)                                                                                                 \
    do {                                                                                                               \
        if (!(c)) abort();                                                                                             \
    } while (0)
#define assert_int_equal(a, b) assert_true((a) == (b))
#define fail_msg(...)          abort()
#else
#include <cmocka.h>
#endif

enum { HALL_CLIENTS_MAX = 16, HALL_PARTIES_MAX = 17, HALL_SPOOL_MAX = 512, HALL_JOURNAL_MAX = 256 };

typedef struct hall_item {
    uint64_t number, chunk;
    uint32_t client;
    uint8_t *bytes;
    size_t length;
} hall_item;

/** A machine's disk. */
typedef struct hall_disk {
    hall_item spool[HALL_SPOOL_MAX], journal[HALL_JOURNAL_MAX];
    size_t n_spool, n_journal;
    bool fails;
} hall_disk;

typedef struct hall {
    msfl_packed *ctx;
    msfl_roster *roster;
    const msfl_roster_info *r;
    msfl_identity id[HALL_PARTIES_MAX], coordinator_id, consortium_id;
    msfl_identity_secret *secret[HALL_PARTIES_MAX], *coordinator_secret, *consortium;
    uint8_t *roster_bytes;
    uint8_t task[32];
    uint32_t n, min_cohort;
    msfl_delivery delivery; /* of the rounds that hall_open opens; 0: to the coordinator */
    uint64_t n_values, n_chunks;
    msfl_coordinator *coordinator;
    msfl_site *sites[HALL_CLIENTS_MAX];
    msfl_member *members[HALL_PARTIES_MAX]; /* by place */
    hall_disk *disk;                        /* coordinator, then sites, then members */
    uint32_t *slots[HALL_CLIENTS_MAX];
    bool deaf[HALL_PARTIES_MAX]; /* members (by place) that hear nothing */
    void (*tamper)(struct hall *h, uint32_t from, uint32_t to, msfl_effect *e); /* may change a message, or empty it */
    uint8_t *record;                                                            /* the last transcript */
    size_t record_length;
} hall;

static inline void *hall_get(size_t count, size_t size) {
    void *memory = msfl_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

static msfl_status hall_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                            size_t length) {
    hall_disk *d = self;
    if (d->fails) return MSFL_ERR_IO;
    uint8_t *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    for (size_t i = 0; i < d->n_spool; i++) {
        hall_item *e = &d->spool[i];
        if (e->number != number || e->client != client || e->chunk != chunk) continue;
        free(e->bytes);
        *e = (hall_item){number, chunk, client, copy, length};
        return MSFL_OK;
    }
    assert_true(d->n_spool < HALL_SPOOL_MAX);
    d->spool[d->n_spool++] = (hall_item){number, chunk, client, copy, length};
    return MSFL_OK;
}

static msfl_status hall_fetch(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes,
                              size_t length) {
    hall_disk *d = self;
    for (size_t i = 0; i < d->n_spool && !d->fails; i++) {
        hall_item *e = &d->spool[i];
        if (e->number != number || e->client != client || e->chunk != chunk || e->length != length) continue;
        memcpy(bytes, e->bytes, length);
        return MSFL_OK;
    }
    return MSFL_ERR_IO;
}

static inline void hall_drop(hall_disk *d, uint64_t number) {
    for (size_t i = d->n_spool; i-- > 0;) {
        if (d->spool[i].number > number) continue;
        free(d->spool[i].bytes);
        d->spool[i] = d->spool[--d->n_spool];
    }
}

static inline msfl_spool hall_spool(hall *h, size_t disk) {
    return (msfl_spool){&h->disk[disk], hall_put, hall_fetch};
}

static inline msfl_status hall_new_coordinator(hall *h) {
    msfl_coordinator_config c = {h->roster, h->coordinator_secret, h->ctx, {0}, hall_spool(h, 0), 100};
    memcpy(c.task, h->task, 32);
    return msfl_coordinator_new(&c, &h->coordinator);
}

static inline msfl_status hall_new_site(hall *h, uint32_t i) {
    msfl_site_config c = {h->roster, h->secret[i], i, {0}, h->min_cohort, 0, true, hall_spool(h, 1 + i), 0};
    memcpy(c.task, h->task, 32);
    return msfl_site_new(&c, &h->sites[i]);
}

static inline msfl_status hall_new_member(hall *h, uint32_t place) {
    const uint32_t party = h->r->members[place];
    msfl_member_config c = {h->roster, h->secret[party], party, {0}, h->min_cohort, 0};
    memcpy(c.task, h->task, 32);
    return msfl_member_new(&c, &h->members[place]);
}

static inline void hall_identity(uint8_t number, msfl_identity *id, msfl_identity_secret **secret) {
    uint8_t seed[32] = {number};
    assert_int_equal(msfl_identity_new(seed, id, secret), MSFL_OK);
}

/** n hospitals, all of them members if `custody` says committee; N = 1024, two chunks. */
static inline void hall_make(hall *h, uint32_t n, msfl_custody custody, uint32_t min_cohort) {
    memset(h, 0, sizeof *h);
    const msfl_params_request request = {.n_clients = n, .value_bits = 2, .n_values = 3000, .ring_degree = 1024};
    msfl_params params;
    uint32_t members[HALL_PARTIES_MAX], k = n, t, f, n_parties = n;
    assert_int_equal(msfl_params_plan(&request, &params), MSFL_OK);
    assert_int_equal(msfl_packed_new(&params, &h->ctx), MSFL_OK);
    hall_identity(100, &h->coordinator_id, &h->coordinator_secret);
    hall_identity(101, &h->consortium_id, &h->consortium);
    for (uint32_t i = 0; i <= n; i++) {
        hall_identity((uint8_t)i, &h->id[i], &h->secret[i]);
        members[i] = i;
    }
    if (custody != MSFL_CUSTODY_COMMITTEE) {
        k = 1;
        members[0] = n_parties++;
        if (custody == MSFL_CUSTODY_COORDINATOR) {
            h->id[n] = h->coordinator_id;
            *h->secret[n] = *h->coordinator_secret;
        }
    }
    msfl_committee_default(k, &t, &f);
    const msfl_roster_info info = {7, custody, h->coordinator_id, h->id, n_parties, n, members, k, t, f};
    h->roster_bytes = hall_get(msfl_roster_bytes(&info), 1);
    assert_int_equal(msfl_roster_sign(&info, h->consortium, h->roster_bytes), MSFL_OK);
    assert_int_equal(msfl_roster_read(h->roster_bytes, msfl_roster_bytes(&info), h->consortium_id.sign, &h->roster),
                     MSFL_OK);
    h->r = msfl_roster_borrow(h->roster);
    memset(h->task, 't', sizeof h->task);
    h->n = n;
    h->min_cohort = min_cohort;
    h->n_values = msfl_packed_chunk_slots(h->ctx, UINT64_C(1) << 20, 0) + 100;
    h->n_chunks = msfl_packed_chunks(h->ctx, h->n_values);
    h->disk = hall_get(1 + n + k, sizeof *h->disk);
    assert_int_equal(hall_new_coordinator(h), MSFL_OK);
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "test.hall", n, 0, 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(hall_new_site(h, i), MSFL_OK);
        h->slots[i] = hall_get(h->n_values, sizeof *h->slots[i]);
        for (uint64_t v = 0; v < h->n_values; v++)
            h->slots[i][v] = v < 20 ? 3 : (uint32_t)msfl_seeded_below(&g, 4);
    }
    for (uint32_t i = 0; i < k; i++)
        assert_int_equal(hall_new_member(h, i), MSFL_OK);
}

static inline void hall_clear(hall *h) {
    msfl_coordinator_free(h->coordinator);
    for (uint32_t i = 0; i < h->n; i++) {
        msfl_site_free(h->sites[i]);
        msfl_free(h->slots[i]);
    }
    for (uint32_t i = 0; i < h->r->k; i++)
        msfl_member_free(h->members[i]);
    for (uint32_t i = 0; i < 1 + h->n + h->r->k; i++) {
        hall_drop(&h->disk[i], UINT64_MAX);
        for (size_t j = 0; j < h->disk[i].n_journal; j++)
            free(h->disk[i].journal[j].bytes);
    }
    for (uint32_t i = 0; i <= h->n; i++)
        msfl_identity_free(h->secret[i]);
    msfl_identity_free(h->coordinator_secret);
    msfl_identity_free(h->consortium);
    msfl_roster_free(h->roster);
    msfl_packed_free(h->ctx);
    msfl_free(h->roster_bytes);
    msfl_free(h->disk);
    msfl_free(h->record);
}

static msfl_status hall_carry(hall *h, size_t disk, uint32_t from, msfl_effects *effects);

/** Give one message to everybody who listens as `to`. The first failure. */
static inline msfl_status hall_deliver(hall *h, uint32_t from, uint32_t to, const uint8_t *bytes, size_t length) {
    msfl_effects effects = {0};
    if (to == MSFL_COORDINATOR) {
        msfl_status status = msfl_coordinator_receive(h->coordinator, 10, from, bytes, length, &effects);
        const msfl_status then = hall_carry(h, 0, MSFL_COORDINATOR, &effects);
        return status == MSFL_OK ? then : status;
    }
    msfl_status first = MSFL_OK, status;
    if (to < h->n) {
        first = msfl_site_receive(h->sites[to], 10, bytes, length, &effects);
        status = hall_carry(h, 1 + to, to, &effects);
        if (first == MSFL_OK) first = status;
    }
    const uint32_t place = msfl_member_place(h->r, to);
    if (place < h->r->k && !h->deaf[place]) {
        status = msfl_member_receive(h->members[place], from, bytes, length, &effects);
        if (first == MSFL_OK) first = status;
        status = hall_carry(h, 1 + h->n + place, to, &effects);
        if (first == MSFL_OK) first = status;
    }
    return first;
}

/** Carry out effects; messages are delivered at once, one inside the other. The first failure. */
static msfl_status hall_carry(hall *h, size_t disk, uint32_t from, msfl_effects *effects) {
    msfl_effects mine = *effects;
    hall_disk *d = &h->disk[disk];
    msfl_status first = MSFL_OK;
    *effects = (msfl_effects){0};
    for (size_t i = 0; i < mine.n; i++) {
        msfl_effect *e = &mine.items[i];
        if (e->kind == MSFL_EFFECT_DROP) hall_drop(d, e->number);
        if (e->kind == MSFL_EFFECT_JOURNAL) {
            assert_true(d->n_journal < HALL_JOURNAL_MAX);
            uint8_t *copy = malloc(e->length);
            assert_non_null(copy);
            memcpy(copy, e->bytes, e->length);
            d->journal[d->n_journal++] = (hall_item){.bytes = copy, .length = e->length};
        }
        if (e->kind == MSFL_EFFECT_RECORD) {
            msfl_free(h->record);
            h->record = e->bytes;
            h->record_length = e->length;
            e->bytes = NULL;
        }
        if (e->kind != MSFL_EFFECT_SEND) continue;
        if (h->tamper != NULL) h->tamper(h, from, e->to, e);
        if (e->length == 0) continue;
        msfl_status status = hall_deliver(h, from, e->to, e->bytes, e->length);
        if (first == MSFL_OK) first = status;
    }
    msfl_effects_clear(&mine);
    return first;
}

static inline msfl_status hall_open(hall *h, uint8_t model) {
    msfl_effects effects = {0};
    msfl_round_offer o = {.min_cohort = h->min_cohort,
                          .n_values = h->n_values,
                          .deadline_ms = 1000,
                          .delivery = h->delivery == 0 ? MSFL_DELIVERY_COORDINATOR : h->delivery};
    memset(o.model, model, 32);
    memset(o.layout, 'l', 32);
    msfl_status status = msfl_coordinator_open(h->coordinator, 10, &o, &effects);
    const msfl_status then = hall_carry(h, 0, MSFL_COORDINATOR, &effects);
    return status == MSFL_OK ? then : status;
}

static inline msfl_status hall_tick(hall *h, uint64_t now) {
    msfl_effects effects = {0};
    msfl_status status = msfl_coordinator_tick(h->coordinator, now, &effects);
    const msfl_status then = hall_carry(h, 0, MSFL_COORDINATOR, &effects);
    return status == MSFL_OK ? then : status;
}

/** Site i takes part: everything up to its receipt. */
static inline msfl_status hall_upload(hall *h, uint32_t i) {
    msfl_effects effects = {0};
    const msfl_announcement *a = msfl_site_round(h->sites[i]);
    assert_non_null(a);
    const msfl_announcement round = *a;
    msfl_status status = msfl_site_start(h->sites[i], h->ctx, round.info.model, round.info.layout, &effects);
    uint64_t at = 0;
    for (uint64_t j = 0; j < h->n_chunks && status == MSFL_OK; j++) {
        status = msfl_site_encrypt(h->sites[i], j, h->slots[i] + at, &effects);
        at += msfl_packed_chunk_slots(h->ctx, h->n_values, j);
    }
    if (status == MSFL_OK) status = msfl_site_finish(h->sites[i], &effects);
    const msfl_status then = hall_carry(h, 1 + i, i, &effects);
    return status == MSFL_OK ? then : status;
}

/** Hold the opened totals to the plain sum over the cohort. */
static inline void hall_expect_sum(hall *h, uint8_t result[32]) {
    size_t n;
    const uint32_t *cohort = msfl_coordinator_cohort(h->coordinator, &n);
    uint64_t *totals = hall_get(h->n_values, sizeof *totals), at = 0;
    for (uint64_t j = 0; j < h->n_chunks; j++) {
        assert_int_equal(msfl_coordinator_total(h->coordinator, j, totals + at), MSFL_OK);
        at += msfl_packed_chunk_slots(h->ctx, h->n_values, j);
    }
    for (uint64_t v = 0; v < h->n_values; v++) {
        uint64_t expected = 0;
        for (size_t i = 0; i < n; i++)
            expected += h->slots[cohort[i]][v];
        if (totals[v] != expected) fail_msg("value %u differs", (unsigned)v);
    }
    msfl_result_hash(totals, h->n_values, result);
    msfl_free(totals);
}

static inline void hall_finish(hall *h) {
    msfl_effects effects = {0};
    uint8_t result[32];
    assert_int_equal(msfl_coordinator_phase(h->coordinator), MSFL_PHASE_OPENED);
    hall_expect_sum(h, result);
    assert_int_equal(msfl_coordinator_finish(h->coordinator, result, &effects), MSFL_OK);
    assert_int_equal(hall_carry(h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    for (uint32_t i = 0; i < h->n; i++) {
        assert_int_equal(msfl_coordinator_poll(h->coordinator, i, &effects), MSFL_OK);
        assert_int_equal(hall_carry(h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    }
}

/* --- delivery to the hospitals --- */

/** Site i takes the coordinator's fold and opens it: the exact sums, which are those of `plain` (NULL: not compared).
 */
static inline msfl_status hall_take_folded(hall *h, uint32_t i) {
    uint8_t *chunk = hall_get(msfl_packed_chunk_bytes(h->ctx, h->n_values, 0), 1);
    msfl_status status = MSFL_OK;
    for (uint64_t j = 0; j < h->n_chunks && status == MSFL_OK; j++) {
        assert_int_equal(msfl_coordinator_folded(h->coordinator, j, chunk), MSFL_OK);
        status = msfl_site_folded(h->sites[i], h->ctx, j, chunk, msfl_packed_chunk_bytes(h->ctx, h->n_values, j));
    }
    msfl_free(chunk);
    return status;
}

/** Site i folds the uploads itself, from what the coordinator keeps of them. */
static inline msfl_status hall_fold_itself(hall *h, uint32_t i) {
    size_t n;
    const uint32_t *cohort = msfl_site_cohort(h->sites[i], &n);
    uint8_t *chunk = hall_get(msfl_packed_chunk_bytes(h->ctx, h->n_values, 0), 1);
    const uint64_t number = msfl_site_round(h->sites[i])->info.number;
    msfl_status status = MSFL_OK;
    for (size_t u = 0; u < n && status == MSFL_OK; u++) {
        for (uint64_t j = 0; j < h->n_chunks && status == MSFL_OK; j++) {
            const size_t length = msfl_packed_chunk_bytes(h->ctx, h->n_values, j);
            assert_int_equal(hall_fetch(&h->disk[0], number, cohort[u], j, chunk, length), MSFL_OK);
            status = msfl_site_fold_upload(h->sites[i], h->ctx, cohort[u], j, chunk, length);
        }
    }
    msfl_free(chunk);
    return status;
}

/** Hold what site i opened to the plain sum over the cohort. */
static inline void hall_expect_site_sum(hall *h, uint32_t i) {
    size_t n;
    const uint32_t *cohort = msfl_site_cohort(h->sites[i], &n);
    uint64_t *totals = hall_get(h->n_values, sizeof *totals), at = 0;
    assert_int_equal(msfl_site_phase_of(h->sites[i]), MSFL_SITE_OPENED);
    for (uint64_t j = 0; j < h->n_chunks; j++) {
        assert_int_equal(msfl_site_total(h->sites[i], j, totals + at), MSFL_OK);
        at += msfl_packed_chunk_slots(h->ctx, h->n_values, j);
    }
    for (uint64_t v = 0; v < h->n_values; v++) {
        uint64_t expected = 0;
        for (size_t u = 0; u < n; u++)
            expected += h->slots[cohort[u]][v];
        if (totals[v] != expected) fail_msg("value %u differs at site %u", (unsigned)v, (unsigned)i);
    }
    msfl_free(totals);
}

static inline void hall_report(hall *h, uint32_t i, const uint8_t *made) {
    msfl_effects effects = {0};
    assert_int_equal(msfl_site_report(h->sites[i], made, &effects), MSFL_OK);
    assert_int_equal(hall_carry(h, 1 + i, i, &effects), MSFL_OK);
}

/** Everybody hears the record. */
static inline void hall_tell_record(hall *h) {
    msfl_effects effects = {0};
    for (uint32_t i = 0; i < h->n; i++) {
        assert_int_equal(msfl_coordinator_poll(h->coordinator, i, &effects), MSFL_OK);
        assert_int_equal(hall_carry(h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    }
}

static inline void hall_settle(hall *h) {
    msfl_effects effects = {0};
    uint8_t result[32];
    uint32_t n;
    assert_true(msfl_coordinator_agreed(h->coordinator, result, &n));
    assert_int_equal(msfl_coordinator_finish(h->coordinator, result, &effects), MSFL_OK);
    assert_int_equal(hall_carry(h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    hall_tell_record(h);
}

/** A round that is kept from the coordinator, up to the deliveries; the first n_sites upload. */
static inline void hall_to_delivery(hall *h, uint8_t model, uint32_t n_sites) {
    h->delivery = MSFL_DELIVERY_CLIENTS;
    assert_int_equal(hall_open(h, model), MSFL_OK);
    assert_int_equal(hall_tick(h, 20), MSFL_OK);
    for (uint32_t i = 0; i < n_sites; i++)
        assert_int_equal(hall_upload(h, i), MSFL_OK);
    assert_int_equal(hall_tick(h, 1000), MSFL_OK); /* closes, proposes */
    assert_int_equal(hall_tick(h, 2000), MSFL_OK); /* releases */
    assert_int_equal(msfl_coordinator_phase(h->coordinator), MSFL_PHASE_DELIVERING);
}

static inline void hall_sealed_round(hall *h, uint8_t model) {
    hall_to_delivery(h, model, h->n);
    assert_int_equal(hall_tick(h, 3000), MSFL_OK); /* delivers */
    for (uint32_t i = 0; i < h->n; i++) {
        assert_int_equal(hall_take_folded(h, i), MSFL_OK);
        hall_expect_site_sum(h, i);
        hall_report(h, i, NULL);
    }
    hall_settle(h);
}

/** A whole round of all sites. */
static inline void hall_round(hall *h, uint8_t model) {
    assert_int_equal(hall_open(h, model), MSFL_OK);
    assert_int_equal(hall_tick(h, 20), MSFL_OK);
    for (uint32_t i = 0; i < h->n; i++)
        assert_int_equal(hall_upload(h, i), MSFL_OK);
    assert_int_equal(hall_tick(h, 200), MSFL_OK); /* closes, proposes */
    assert_int_equal(hall_tick(h, 400), MSFL_OK); /* releases */
    hall_finish(h);
}

static inline void expect_message(const char *words) {
    if (strstr(msfl_error_message(), words) == NULL) fail_msg("\"%s\" is not in \"%s\"", words, msfl_error_message());
}

#endif
