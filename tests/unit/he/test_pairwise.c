/* Whole rounds of pairwise masking: exact sums whoever drops out and when, and refusals. */
#include "he/pairwise.h"

#include "base/mem.h"
#include "base/seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 40 };

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

/** How far a client goes. */
typedef enum reach { NOTHING, ADVERT, PACKETS, UPLOAD, ANSWER } reach;

typedef struct world {
    msfl_pairwise_info info;
    msfl_pairwise_client *client[MAX];
    msfl_pairwise_server *server;
    uint8_t adverts[MAX][MSFL_PAIRWISE_ADVERT_BYTES];
    const uint8_t *advert_of[MAX];
    uint8_t *packets; /* from, to */
    bool partners[MAX], uploaded[MAX];
    uint32_t *values[MAX];
    uint8_t *upload[MAX], *answer[MAX];
    size_t upload_bytes, answer_bytes;
} world;

static msfl_pairwise_info info_of(uint32_t n, uint32_t t, uint32_t min_cohort, uint32_t bits, uint64_t n_values) {
    return (msfl_pairwise_info){{9, n & 0xff}, n, t, min_cohort, bits, n_values};
}

static uint8_t *packet(world *w, uint32_t from, uint32_t to) {
    return w->packets + ((size_t)from * w->info.n_clients + to) * MSFL_PAIRWISE_PACKET_BYTES;
}

static void world_init(world *w, msfl_pairwise_info info, bool all_max) {
    memset(w, 0, sizeof *w);
    w->info = info;
    w->upload_bytes = (size_t)msfl_pairwise_upload_bytes(&info);
    w->answer_bytes = msfl_pairwise_answer_bytes(&info);
    w->packets = calloc((size_t)info.n_clients * info.n_clients, MSFL_PAIRWISE_PACKET_BYTES);
    msfl_seeded g;
    msfl_seeded_init(&g, 3, "pairwise", info.n_clients, info.n_values, 0);
    for (uint32_t i = 0; i < info.n_clients; i++) {
        w->values[i] = calloc(info.n_values, sizeof(uint32_t));
        w->upload[i] = malloc(w->upload_bytes);
        w->answer[i] = malloc(w->answer_bytes);
        for (uint64_t v = 0; v < info.n_values; v++)
            w->values[i][v] = (all_max ? UINT32_MAX : (uint32_t)msfl_seeded_u64(&g)) >> (32 - info.value_bits);
    }
}

static void world_clear(world *w) {
    for (uint32_t i = 0; i < w->info.n_clients; i++) {
        free(w->values[i]);
        free(w->upload[i]);
        free(w->answer[i]);
        msfl_pairwise_client_free(w->client[i]);
    }
    free(w->packets);
    msfl_pairwise_server_free(w->server);
}

/** Packets for client i from the partners. */
static void packets_for(world *w, uint32_t i, const uint8_t **out) {
    for (uint32_t j = 0; j < w->info.n_clients; j++)
        out[j] = w->partners[j] ? packet(w, j, i) : NULL;
}

static void mask_all(world *w, uint32_t i) {
    uint8_t *at = w->upload[i];
    const uint32_t *values = w->values[i];
    for (uint64_t j = 0; j < msfl_pairwise_chunks(&w->info); j++) {
        ok(msfl_pairwise_client_mask(w->client[i], j, values, at));
        values += msfl_pairwise_chunk_values(&w->info, j);
        at += msfl_pairwise_chunk_bytes(&w->info, j);
    }
    assert_int_equal(at - w->upload[i], w->upload_bytes);
}

/** The steps up to `last`, each client going as far as `reaches` says; the first refusal of a party comes back. */
static msfl_status world_run(world *w, const reach *reaches, reach last) {
    const uint32_t n = w->info.n_clients;
    const uint8_t *packets[MAX];
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (reaches[i] < ADVERT) continue;
        ok(msfl_pairwise_client_new(&w->info, i, &w->client[i]));
        msfl_pairwise_client_advert(w->client[i], w->adverts[i]);
        w->advert_of[i] = w->adverts[i];
    }
    status = msfl_pairwise_server_new(&w->info, w->advert_of, &w->server);
    for (uint32_t i = 0; i < n; i++) {
        if (reaches[i] < PACKETS) continue;
        msfl_status theirs = msfl_pairwise_client_share(w->client[i], w->advert_of, packet(w, i, 0));
        assert_int_equal(theirs, status);
        w->partners[i] = true;
    }
    if (status != MSFL_OK || last < PACKETS) return status;
    status = msfl_pairwise_server_start(w->server, w->partners);
    for (uint32_t i = 0; i < n; i++) {
        if (reaches[i] < UPLOAD) continue;
        packets_for(w, i, packets);
        assert_int_equal(msfl_pairwise_client_start(w->client[i], packets), status);
    }
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < n && last >= UPLOAD; i++) {
        if (reaches[i] < UPLOAD) continue;
        mask_all(w, i);
        ok(msfl_pairwise_server_upload(w->server, i, w->upload[i], w->upload_bytes));
        w->uploaded[i] = true;
    }
    if (last < ANSWER) return MSFL_OK;
    bool uploaded[MAX];
    status = msfl_pairwise_server_close(w->server, uploaded);
    if (status == MSFL_OK) assert_memory_equal(uploaded, w->uploaded, n * sizeof *uploaded);
    for (uint32_t i = 0; i < n; i++) {
        if (reaches[i] < ANSWER) continue;
        assert_int_equal(msfl_pairwise_client_answer(w->client[i], w->uploaded, w->answer[i]), status);
        if (status == MSFL_OK) ok(msfl_pairwise_server_answer(w->server, i, w->answer[i], w->answer_bytes));
    }
    return status;
}

static void opens_to_the_sum(world *w) {
    uint64_t *totals = malloc(MSFL_PAIRWISE_CHUNK * sizeof *totals), at = 0;
    for (uint64_t j = 0; j < msfl_pairwise_chunks(&w->info); j++) {
        ok(msfl_pairwise_server_open(w->server, j, totals));
        for (uint32_t v = 0; v < msfl_pairwise_chunk_values(&w->info, j); v++, at++) {
            uint64_t expected = 0;
            for (uint32_t i = 0; i < w->info.n_clients; i++)
                expected += w->uploaded[i] ? w->values[i][at] : 0;
            assert_int_equal(totals[v], expected);
        }
    }
    assert_int_equal(at, w->info.n_values);
    free(totals);
}

static const reach everyone[MAX] = {ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER,
                                    ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER,
                                    ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER,
                                    ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER};

static void exact_sums(void **state) {
    (void)state;
    static const struct {
        uint32_t n, t, cohort, bits;
        uint64_t values;
    } cases[] = {{2, 2, 2, 16, 100},   {2, 2, 2, 32, 16385}, {5, 3, 3, 24, 1000},   {5, 5, 3, 32, 33000},
                 {10, 6, 3, 16, 1},    {10, 7, 5, 8, 50001}, {10, 10, 10, 32, 777}, {40, 21, 3, 2, 16384},
                 {3, 2, 3, 31, 32768}, {4, 3, 3, 30, 7},     {3, 2, 2, 2, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int all_max = 0; all_max < 2; all_max++) {
            world w;
            world_init(&w, info_of(cases[i].n, cases[i].t, cases[i].cohort, cases[i].bits, cases[i].values), all_max);
            ok(world_run(&w, everyone, ANSWER));
            ok(msfl_pairwise_server_unmask(w.server));
            opens_to_the_sum(&w);
            world_clear(&w);
        }
    }
}

/* Four clients that each stop after any of five steps: 625 rounds. */
static void whoever_drops_out_and_when(void **state) {
    (void)state;
    int n_opened = 0, n_recovered = 0;
    for (int pattern = 0; pattern < 625; pattern++) {
        reach reaches[4];
        uint32_t count[5] = {0};
        for (int i = 0, rest = pattern; i < 4; i++, rest /= 5) {
            reaches[i] = (reach)(rest % 5);
            for (int r = NOTHING; r <= (int)reaches[i]; r++)
                count[r]++;
        }
        world w;
        world_init(&w, info_of(4, 3, 2, 20, 50), false);
        msfl_status status = world_run(&w, reaches, ANSWER);
        if (count[ADVERT] < 3 || count[PACKETS] < 3 || count[UPLOAD] < 3) {
            assert_int_equal(status, MSFL_ERR_POLICY);
        } else {
            ok(status);
            if (count[ANSWER] < 3) {
                uint64_t totals[50] = {1};
                assert_int_equal(msfl_pairwise_server_unmask(w.server), MSFL_ERR_MISSING);
                assert_int_equal(msfl_pairwise_server_open(w.server, 0, totals), MSFL_ERR_POLICY);
                assert_int_equal(totals[0], 0);
            } else {
                ok(msfl_pairwise_server_unmask(w.server));
                opens_to_the_sum(&w);
                n_opened++;
                n_recovered += count[PACKETS] > count[UPLOAD];
            }
        }
        world_clear(&w);
    }
    /* 3 or 4 reach the answer: 1 + 4 * 4 ways; in 4 of them the fourth stopped between packets and upload. */
    assert_int_equal(n_opened, 17);
    assert_int_equal(n_recovered, 4);
}

static void many_drop_out(void **state) {
    (void)state;
    reach reaches[MAX];
    msfl_seeded g;
    for (uint64_t seed = 0; seed < 5; seed++) {
        msfl_seeded_init(&g, seed, "drop", 0, 0, 0);
        for (int i = 0; i < 20; i++)
            reaches[i] = i % 2 == 0 || i == 1 ? ANSWER : (reach)msfl_seeded_below(&g, 5);
        world w;
        world_init(&w, info_of(20, 11, 3, 24, 20000), true);
        ok(world_run(&w, reaches, ANSWER));
        ok(msfl_pairwise_server_unmask(w.server));
        opens_to_the_sum(&w);
        world_clear(&w);
    }
}

static void one_seed_of_a_client_never_both(void **state) {
    (void)state;
    world w;
    world_init(&w, info_of(4, 3, 3, 16, 20), false);
    ok(world_run(&w, everyone, UPLOAD));
    bool uploaded[4], other[4] = {true, true, true, false}, alone[4] = {true, false, false, false};
    bool without_me[4] = {false, true, true, true};
    const uint8_t *packets[MAX];
    uint8_t zeros[1000] = {0};
    ok(msfl_pairwise_server_close(w.server, uploaded));
    assert_int_equal(msfl_pairwise_server_close(w.server, uploaded), MSFL_ERR_POLICY);
    /* Questions that no honest coordinator asks; after a refusal the honest one is still answered. */
    memset(w.answer[0], 0x55, w.answer_bytes);
    assert_int_equal(msfl_pairwise_client_answer(w.client[0], alone, w.answer[0]), MSFL_ERR_POLICY);
    assert_memory_equal(w.answer[0], zeros, w.answer_bytes);
    assert_int_equal(msfl_pairwise_client_answer(w.client[0], without_me, w.answer[0]), MSFL_ERR_POLICY);
    ok(msfl_pairwise_client_answer(w.client[0], uploaded, w.answer[0]));
    /* The second answer, the same or the other. */
    uint8_t *second = malloc(w.answer_bytes);
    memset(second, 0x55, w.answer_bytes);
    assert_int_equal(msfl_pairwise_client_answer(w.client[0], other, second), MSFL_ERR_POLICY);
    assert_memory_equal(second, zeros, w.answer_bytes);
    assert_int_equal(msfl_pairwise_client_answer(w.client[0], uploaded, second), MSFL_ERR_POLICY);
    assert_memory_equal(second, zeros, w.answer_bytes);
    /* Nothing else either, once it answered. */
    packets_for(&w, 0, packets);
    assert_int_equal(msfl_pairwise_client_start(w.client[0], packets), MSFL_ERR_POLICY);
    assert_int_equal(msfl_pairwise_client_mask(w.client[0], 0, w.values[0], w.upload[0]), MSFL_ERR_POLICY);
    assert_int_equal(msfl_pairwise_client_share(w.client[0], w.advert_of, w.packets), MSFL_ERR_POLICY);
    /* A coordinator does not take the other seed when it is offered: client 1 was told that client 3 dropped out. */
    ok(msfl_pairwise_client_answer(w.client[1], other, w.answer[1]));
    assert_int_equal(msfl_pairwise_server_answer(w.server, 1, w.answer[1], w.answer_bytes), MSFL_ERR_POLICY);
    ok(msfl_pairwise_server_answer(w.server, 0, w.answer[0], w.answer_bytes));
    assert_int_equal(msfl_pairwise_server_answer(w.server, 0, w.answer[0], w.answer_bytes), MSFL_ERR_POLICY);
    for (uint32_t i = 2; i < 4; i++) {
        ok(msfl_pairwise_client_answer(w.client[i], uploaded, w.answer[i]));
        ok(msfl_pairwise_server_answer(w.server, i, w.answer[i], w.answer_bytes));
    }
    ok(msfl_pairwise_server_unmask(w.server));
    assert_int_equal(msfl_pairwise_server_unmask(w.server), MSFL_ERR_POLICY);
    opens_to_the_sum(&w);
    free(second);
    world_clear(&w);
    /* Half the roster is no threshold, one client no cohort. */
    msfl_pairwise_info info = info_of(4, 2, 3, 16, 20);
    assert_int_equal(msfl_pairwise_check(&info), MSFL_ERR_POLICY);
    info = info_of(5, 2, 3, 16, 20);
    assert_int_equal(msfl_pairwise_check(&info), MSFL_ERR_POLICY);
    info = info_of(5, 3, 1, 16, 20);
    assert_int_equal(msfl_pairwise_check(&info), MSFL_ERR_POLICY);
}

static void out_of_range_or_order(void **state) {
    (void)state;
    static const msfl_pairwise_info bad[] = {
        {{0}, 1, 1, 1, 16, 1}, {{0}, 256, 200, 3, 16, 1}, {{0}, 5, 6, 3, 16, 1}, {{0}, 5, 3, 6, 16, 1},
        {{0}, 5, 3, 3, 1, 1},  {{0}, 5, 3, 3, 33, 1},     {{0}, 5, 3, 3, 16, 0}, {{0}, 5, 3, 3, 16, UINT64_MAX}};
    msfl_pairwise_client *c;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(msfl_pairwise_client_new(&bad[i], 0, &c), MSFL_ERR_USAGE);
        assert_null(c);
    }
    msfl_pairwise_info info = info_of(5, 3, 3, 16, 40000);
    assert_int_equal(msfl_pairwise_client_new(&info, 5, &c), MSFL_ERR_USAGE);
    assert_int_equal(msfl_pairwise_slot_bits(&info), 19);
    assert_int_equal(msfl_pairwise_chunks(&info), 3);
    assert_int_equal(msfl_pairwise_chunk_values(&info, 2), 40000 - 32768);
    assert_int_equal(msfl_pairwise_chunk_values(&info, 3), 0);
    world w;
    world_init(&w, info, false);
    ok(world_run(&w, everyone, PACKETS));
    uint8_t *out = w.upload[0];
    assert_int_equal(msfl_pairwise_client_mask(w.client[0], 1, w.values[0], out), MSFL_ERR_USAGE);
    w.values[0][7] = 1 << 16;
    memset(out, 0x55, 100);
    assert_int_equal(msfl_pairwise_client_mask(w.client[0], 0, w.values[0], out), MSFL_ERR_NUMERIC);
    assert_int_equal(out[0], 0x55);
    w.values[0][7] = 0;
    ok(msfl_pairwise_client_mask(w.client[0], 0, w.values[0], out));
    assert_int_equal(msfl_pairwise_client_mask(w.client[0], 0, w.values[0], out), MSFL_ERR_POLICY);
    /* An answer before the end of the vector. */
    bool all[5] = {true, true, true, true, true};
    assert_int_equal(msfl_pairwise_client_answer(w.client[0], all, w.answer[0]), MSFL_ERR_POLICY);
    ok(msfl_pairwise_client_mask(w.client[0], 1, w.values[0] + 16384, out));
    ok(msfl_pairwise_client_mask(w.client[0], 2, w.values[0] + 32768, out));
    assert_int_equal(msfl_pairwise_client_mask(w.client[0], 3, w.values[0], out), MSFL_ERR_USAGE);
    assert_int_equal(msfl_pairwise_server_start(w.server, w.partners), MSFL_ERR_POLICY);
    assert_int_equal(msfl_pairwise_server_answer(w.server, 0, w.answer[0], w.answer_bytes), MSFL_ERR_POLICY);
    assert_int_equal(msfl_pairwise_server_unmask(w.server), MSFL_ERR_POLICY);
    world_clear(&w);
    /* A client that is asked for steps it is not ready for. */
    ok(msfl_pairwise_client_new(&info, 0, &c));
    const uint8_t *none[5] = {NULL};
    uint8_t packets[5 * MSFL_PAIRWISE_PACKET_BYTES];
    assert_int_equal(msfl_pairwise_client_start(c, none), MSFL_ERR_POLICY);
    uint32_t value = 0;
    assert_int_equal(msfl_pairwise_client_mask(c, 0, &value, packets), MSFL_ERR_POLICY);
    assert_int_equal(msfl_pairwise_client_share(c, none, packets), MSFL_ERR_MISMATCH);
    msfl_pairwise_client_free(c);
}

static void masks_hide_and_differ(void **state) {
    (void)state;
    /* The same vector of zeros from everyone: all that an upload shows is mask. */
    world w;
    world_init(&w, info_of(3, 2, 3, 14, 100000), false);
    for (int i = 0; i < 3; i++)
        memset(w.values[i], 0, 100000 * sizeof(uint32_t));
    ok(world_run(&w, everyone, ANSWER));
    static uint64_t y[3][100000];
    for (int i = 0; i < 3; i++) {
        assert_true(msfl_pairwise_unpack(w.upload[i] + MSFL_PAIRWISE_UPLOAD_HEADER, 16, 100000, y[i]));
        unsigned bins[64] = {0}, pairs[64] = {0};
        for (size_t v = 0; v < 100000; v++) {
            bins[y[i][v] >> 10]++;
            pairs[y[i][v] >> 13 << 3 | y[i][(v + 16384) % 100000] >> 13]++;
        }
        double chi = 0, chi_pairs = 0, expected = 100000 / 64.0;
        for (int b = 0; b < 64; b++) {
            chi += (bins[b] - expected) * (bins[b] - expected) / expected;
            chi_pairs += (pairs[b] - expected) * (pairs[b] - expected) / expected;
        }
        assert_true(chi < 150); /* 63 degrees of freedom: a chance of about 1e-9 */
        assert_true(chi_pairs < 150);
    }
    /* Any two together are still masked. */
    size_t n_zero = 0;
    for (size_t v = 0; v < 100000; v++)
        n_zero += ((y[0][v] + y[1][v]) & 0xffff) == 0;
    assert_true(n_zero < 20); /* 1.5 are expected */
    world_clear(&w);
}

static void mask_streams_are_one_stream(void **state) {
    (void)state;
    msfl_pairwise_scratch *s = malloc(sizeof *s);
    uint8_t key[32] = {1, 2}, *stream = malloc((size_t)3 * MSFL_PAIRWISE_CHUNK * 8);
    static const uint32_t widths[] = {3, 32, 33, 40};
    for (size_t k = 0; k < 4; k++) {
        const uint32_t width = widths[k];
        const size_t word = width <= 32 ? 4 : 8;
        msfl_chacha20_stream(key, 0, 0, stream, 3 * MSFL_PAIRWISE_CHUNK * word);
        for (uint64_t j = 0; j < 3; j++) {
            size_t n = j == 2 ? 4097 : MSFL_PAIRWISE_CHUNK;
            memset(s->values, 0, sizeof s->values);
            msfl_pairwise_expand(s, key, true, width, j, n);
            for (size_t i = 0; i < n; i++) {
                uint64_t expected = 0;
                memcpy(&expected, stream + (j * MSFL_PAIRWISE_CHUNK + i) * word, word);
                assert_int_equal(s->values[i], expected);
            }
            msfl_pairwise_expand(s, key, false, width, j, n);
            for (size_t i = 0; i < MSFL_PAIRWISE_CHUNK; i++)
                assert_int_equal(s->values[i], 0);
        }
    }
    /* Every part of the transcript enters a key. */
    uint8_t session[32] = {5}, other[32] = {6}, a[32], b[32];
    msfl_pairwise_pair_key(session, 1, 2, key, a);
    msfl_pairwise_pair_key(session, 2, 1, key, b);
    assert_memory_equal(a, b, 32);
    msfl_pairwise_pair_key(other, 1, 2, key, b);
    assert_memory_not_equal(a, b, 32);
    msfl_pairwise_pair_key(session, 1, 3, key, b);
    assert_memory_not_equal(a, b, 32);
    msfl_pairwise_self_key(session, 1, key, b);
    assert_memory_not_equal(a, b, 32);
    msfl_pairwise_info one = info_of(5, 3, 3, 16, 10), two;
    msfl_pairwise_id(&one, a);
    for (int field = 0; field < 6; field++) {
        two = one;
        if (field == 0) two.round[31] = 1;
        if (field == 1) two.n_clients++;
        if (field == 2) two.threshold++;
        if (field == 3) two.min_cohort++;
        if (field == 4) two.value_bits++;
        if (field == 5) two.n_values++;
        msfl_pairwise_id(&two, b);
        assert_memory_not_equal(a, b, 32);
    }
    free(stream);
    free(s);
}

static void adverts_must_belong(void **state) {
    (void)state;
    world w;
    world_init(&w, info_of(3, 2, 3, 16, 10), false);
    reach here[3] = {ADVERT, ADVERT, ADVERT};
    uint8_t packets[3 * MSFL_PAIRWISE_PACKET_BYTES], zeros[sizeof packets] = {0};
    (void)world_run(&w, here, ADVERT);
    msfl_pairwise_server *s;
    for (size_t at = 0; at < MSFL_PAIRWISE_ADVERT_BYTES; at++) {
        w.adverts[1][at] ^= 4;
        memset(packets, 0x55, sizeof packets);
        msfl_status status = msfl_pairwise_server_new(&w.info, w.advert_of, &s);
        msfl_status theirs = at < 44 ? msfl_pairwise_client_share(w.client[0], w.advert_of, packets) : status;
        assert_int_equal(status, at < 4    ? MSFL_ERR_FORMAT
                                 : at < 8  ? MSFL_ERR_UNSUPPORTED
                                 : at < 44 ? MSFL_ERR_MISMATCH
                                           : MSFL_OK);
        assert_int_equal(theirs, status);
        if (at < 44) assert_memory_equal(packets, zeros, sizeof packets);
        /* Its own advert it knows by heart. */
        assert_int_equal(msfl_pairwise_client_share(w.client[1], w.advert_of, packets), MSFL_ERR_MISMATCH);
        msfl_pairwise_server_free(s);
        w.adverts[1][at] ^= 4;
    }
    /* A channel key of small order. */
    memset(w.adverts[1] + 76, 0, 32);
    assert_int_equal(msfl_pairwise_client_share(w.client[0], w.advert_of, packets), MSFL_ERR_CRYPTO);
    assert_memory_equal(packets, zeros, sizeof packets);
    assert_non_null(strstr(msfl_error_message(), "client 1"));
    world_clear(&w);
}

static void packets_must_belong(void **state) {
    (void)state;
    world w;
    world_init(&w, info_of(4, 3, 3, 16, 10), false);
    reach here[4] = {PACKETS, PACKETS, PACKETS, PACKETS};
    ok(world_run(&w, here, PACKETS));
    const uint8_t *packets[MAX];
    packets_for(&w, 0, packets);
    for (size_t at = 0; at < MSFL_PAIRWISE_PACKET_BYTES; at++) {
        packet(&w, 2, 0)[at] ^= 1;
        msfl_status status = msfl_pairwise_client_start(w.client[0], packets);
        assert_int_equal(status, at < 4    ? MSFL_ERR_FORMAT
                                 : at < 8  ? MSFL_ERR_UNSUPPORTED
                                 : at < 48 ? MSFL_ERR_MISMATCH
                                           : MSFL_ERR_CRYPTO);
        assert_non_null(strstr(msfl_error_message(), "client 2"));
        packet(&w, 2, 0)[at] ^= 1;
    }
    /* To somebody else, from somebody else, sealed by somebody else. */
    packets[2] = packet(&w, 2, 1);
    assert_int_equal(msfl_pairwise_client_start(w.client[0], packets), MSFL_ERR_MISMATCH);
    packets[2] = packet(&w, 3, 0);
    assert_int_equal(msfl_pairwise_client_start(w.client[0], packets), MSFL_ERR_MISMATCH);
    uint8_t forged[MSFL_PAIRWISE_PACKET_BYTES];
    memcpy(forged, packet(&w, 3, 0), sizeof forged);
    forged[8] = 2;
    packets[2] = forged;
    assert_int_equal(msfl_pairwise_client_start(w.client[0], packets), MSFL_ERR_CRYPTO);
    /* Too few; then all is well. */
    packets[1] = packets[2] = NULL;
    assert_int_equal(msfl_pairwise_client_start(w.client[0], packets), MSFL_ERR_POLICY);
    packets_for(&w, 0, packets);
    ok(msfl_pairwise_client_start(w.client[0], packets));
    assert_int_equal(msfl_pairwise_client_start(w.client[0], packets), MSFL_ERR_POLICY);
    world_clear(&w);
}

static void a_mask_key_of_small_order(void **state) {
    (void)state;
    world w;
    world_init(&w, info_of(3, 2, 2, 16, 10), false);
    reach here[3] = {ADVERT, ADVERT, ADVERT};
    (void)world_run(&w, here, ADVERT);
    memset(w.adverts[2] + 44, 0, 32); /* as client 2 would send it, if it meant harm; its own copy is the old one */
    ok(msfl_pairwise_client_share(w.client[0], w.advert_of, packet(&w, 0, 0)));
    ok(msfl_pairwise_client_share(w.client[1], w.advert_of, packet(&w, 1, 0)));
    const uint8_t *packets[3] = {NULL, packet(&w, 1, 0), NULL};
    ok(msfl_pairwise_client_start(w.client[0], packets)); /* without client 2 */
    world_clear(&w);
}

static void uploads_must_belong(void **state) {
    (void)state;
    world w;
    world_init(&w, info_of(4, 3, 3, 16, 21), false);
    reach reaches[4] = {ANSWER, ANSWER, ANSWER, PACKETS};
    ok(world_run(&w, reaches, PACKETS));
    for (uint32_t i = 0; i < 3; i++)
        mask_all(&w, i);
    const size_t length = w.upload_bytes;
    assert_int_equal(length, 76 + (21 * 18 + 7) / 8);
    uint8_t *bytes = malloc(length + 1);
    for (size_t cut = 0; cut <= length + 1; cut++) {
        if (cut == length) continue;
        uint8_t *exact = malloc(cut + 1);
        memset(exact, 0, cut + 1);
        memcpy(exact, w.upload[1], cut < length ? cut : length);
        assert_int_equal(msfl_pairwise_server_upload(w.server, 1, exact, cut), MSFL_ERR_FORMAT);
        free(exact);
    }
    for (size_t at = 0; at < 76; at++) {
        memcpy(bytes, w.upload[1], length);
        bytes[at] ^= 0x20;
        assert_int_equal(msfl_pairwise_server_upload(w.server, 1, bytes, length), at < 4   ? MSFL_ERR_FORMAT
                                                                                  : at < 8 ? MSFL_ERR_UNSUPPORTED
                                                                                           : MSFL_ERR_MISMATCH);
    }
    memcpy(bytes, w.upload[1], length);
    bytes[length - 1] |= 0x80; /* 378 bits leave six of padding */
    assert_int_equal(msfl_pairwise_server_upload(w.server, 1, bytes, length), MSFL_ERR_FORMAT);
    /* Of another client, of nobody, of one that is out, twice. */
    assert_int_equal(msfl_pairwise_server_upload(w.server, 2, w.upload[1], length), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_pairwise_server_upload(w.server, 4, w.upload[1], length), MSFL_ERR_POLICY);
    assert_int_equal(msfl_pairwise_server_upload(w.server, UINT32_MAX, w.upload[1], length), MSFL_ERR_POLICY);
    bool uploaded[4];
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(msfl_pairwise_server_close(w.server, uploaded), MSFL_ERR_POLICY);
        ok(msfl_pairwise_server_upload(w.server, i, w.upload[i], length));
        assert_int_equal(msfl_pairwise_server_upload(w.server, i, w.upload[i], length), MSFL_ERR_POLICY);
    }
    ok(msfl_pairwise_server_close(w.server, w.uploaded));
    /* All the refused ones left no trace; truncated answers, and changed heads. */
    for (uint32_t i = 0; i < 3; i++) {
        ok(msfl_pairwise_client_answer(w.client[i], w.uploaded, w.answer[i]));
        for (size_t cut = 0; cut <= w.answer_bytes + 1; cut++) {
            if (cut == w.answer_bytes) continue;
            uint8_t *exact = malloc(cut + 1);
            memset(exact, 0, cut + 1);
            memcpy(exact, w.answer[i], cut < w.answer_bytes ? cut : w.answer_bytes);
            assert_int_equal(msfl_pairwise_server_answer(w.server, i, exact, cut), MSFL_ERR_FORMAT);
            free(exact);
        }
        for (size_t at = 0; at < 48; at++) {
            w.answer[i][at] ^= 1;
            assert_int_equal(msfl_pairwise_server_answer(w.server, i, w.answer[i], w.answer_bytes),
                             at < 4    ? MSFL_ERR_FORMAT
                             : at < 8  ? MSFL_ERR_UNSUPPORTED
                             : at < 44 ? MSFL_ERR_MISMATCH
                                       : MSFL_ERR_POLICY);
            w.answer[i][at] ^= 1;
        }
        memset(bytes, 0xff, 3);
        uint8_t kept[3];
        memcpy(kept, w.answer[i] + 48, 3);
        memcpy(w.answer[i] + 48, bytes, 3); /* a share that is none */
        assert_int_equal(msfl_pairwise_server_answer(w.server, i, w.answer[i], w.answer_bytes), MSFL_ERR_FORMAT);
        memcpy(w.answer[i] + 48, kept, 3);
        ok(msfl_pairwise_server_answer(w.server, i, w.answer[i], w.answer_bytes));
    }
    assert_int_equal(msfl_pairwise_server_answer(w.server, 3, w.answer[0], w.answer_bytes), MSFL_ERR_POLICY);
    ok(msfl_pairwise_server_unmask(w.server));
    opens_to_the_sum(&w);
    uint64_t totals[21];
    assert_int_equal(msfl_pairwise_server_open(w.server, 1, totals), MSFL_ERR_USAGE);
    free(bytes);
    world_clear(&w);
}

static void a_changed_upload_shows(void **state) {
    (void)state;
    world w;
    world_init(&w, info_of(5, 3, 3, 16, 100), false);
    ok(world_run(&w, everyone, PACKETS));
    for (uint32_t i = 0; i < 5; i++) {
        mask_all(&w, i);
        w.uploaded[i] = true;
    }
    /* The top bit of every value of one upload: half of the 19-bit values lie above 5 (2^16 - 1) afterwards. */
    for (size_t bit = 18; bit < 1900; bit += 19)
        w.upload[2][76 + bit / 8] ^= (uint8_t)(1 << bit % 8);
    bool uploaded[5];
    for (uint32_t i = 0; i < 5; i++)
        ok(msfl_pairwise_server_upload(w.server, i, w.upload[i], w.upload_bytes));
    ok(msfl_pairwise_server_close(w.server, uploaded));
    for (uint32_t i = 0; i < 5; i++) {
        ok(msfl_pairwise_client_answer(w.client[i], uploaded, w.answer[i]));
        ok(msfl_pairwise_server_answer(w.server, i, w.answer[i], w.answer_bytes));
    }
    ok(msfl_pairwise_server_unmask(w.server));
    uint64_t totals[100] = {1};
    assert_int_equal(msfl_pairwise_server_open(w.server, 0, totals), MSFL_ERR_CRYPTO);
    assert_int_equal(totals[0], 0);
    world_clear(&w);
}

/* Client `who` gives a wrong share of client `whose`'s seed: of its third digit, since X25519 does not look at the
 * lowest three bits of the first. */
static void a_wrong_share(uint32_t who, uint32_t whose, uint32_t n_answers) {
    world w;
    world_init(&w, info_of(5, 3, 3, 16, 10), false);
    reach reaches[5] = {ANSWER, ANSWER, ANSWER, ANSWER, PACKETS};
    for (uint32_t i = n_answers; i < 4; i++)
        reaches[i] = UPLOAD;
    ok(world_run(&w, reaches, ANSWER));
    ok(msfl_pairwise_server_exclude(w.server, who));
    assert_int_equal(msfl_pairwise_server_exclude(w.server, who), MSFL_ERR_MISSING);
    w.answer[who][44 + 5 + 40 * whose + 5] ^= 2;
    ok(msfl_pairwise_server_answer(w.server, who, w.answer[who], w.answer_bytes));
    if (n_answers > 3 && who == 3) { /* the first three suffice and are right */
        ok(msfl_pairwise_server_unmask(w.server));
    } else {
        assert_int_equal(msfl_pairwise_server_unmask(w.server), MSFL_ERR_CRYPTO);
        char blamed[64];
        snprintf(blamed, sizeof blamed, "client %u gave a wrong share of client %u's", who, whose);
        bool named = strstr(msfl_error_message(), blamed) != NULL;
        assert_int_equal(named, n_answers > 3);
        uint64_t totals[10];
        assert_int_equal(msfl_pairwise_server_open(w.server, 0, totals), MSFL_ERR_POLICY);
        ok(msfl_pairwise_server_exclude(w.server, who));
        if (n_answers == 3) {
            assert_int_equal(msfl_pairwise_server_unmask(w.server), MSFL_ERR_MISSING);
            w.answer[who][44 + 5 + 40 * whose + 5] ^= 2;
            ok(msfl_pairwise_server_answer(w.server, who, w.answer[who], w.answer_bytes));
        }
        ok(msfl_pairwise_server_unmask(w.server));
    }
    opens_to_the_sum(&w);
    world_clear(&w);
}

static void wrong_shares_are_noticed(void **state) {
    (void)state;
    for (uint32_t n_answers = 3; n_answers <= 4; n_answers++) {
        for (uint32_t who = 0; who < n_answers; who++) {
            for (uint32_t whose = 0; whose < 5; whose++) /* 4 dropped out: its pairwise key */
                a_wrong_share(who, whose, n_answers);
        }
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    bool finished = false;
    for (long k = 1; !finished; k++) {
        assert_true(k < 50);
        msfl_pairwise_info info = info_of(2, 2, 2, 16, 3);
        msfl_pairwise_client *c[2] = {NULL, NULL};
        msfl_pairwise_server *s = NULL;
        uint8_t adverts[2][MSFL_PAIRWISE_ADVERT_BYTES], packets[2][2][MSFL_PAIRWISE_PACKET_BYTES];
        const uint8_t *advert_of[2] = {adverts[0], adverts[1]};
        msfl_status status = MSFL_OK;
        msfl_alloc_fail_at(k);
        for (uint32_t i = 0; i < 2 && status == MSFL_OK; i++) {
            status = msfl_pairwise_client_new(&info, i, &c[i]);
            if (status == MSFL_OK) msfl_pairwise_client_advert(c[i], adverts[i]);
        }
        if (status == MSFL_OK) status = msfl_pairwise_server_new(&info, advert_of, &s);
        for (uint32_t i = 0; i < 2 && status == MSFL_OK; i++)
            status = msfl_pairwise_client_share(c[i], advert_of, packets[i][0]);
        msfl_alloc_fail_at(0);
        finished = status == MSFL_OK;
        if (!finished) assert_int_equal(status, MSFL_ERR_MEMORY);
        msfl_pairwise_client_free(c[0]);
        msfl_pairwise_client_free(c[1]);
        msfl_pairwise_server_free(s);
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_sums),
        cmocka_unit_test(whoever_drops_out_and_when),
        cmocka_unit_test(many_drop_out),
        cmocka_unit_test(one_seed_of_a_client_never_both),
        cmocka_unit_test(out_of_range_or_order),
        cmocka_unit_test(masks_hide_and_differ),
        cmocka_unit_test(mask_streams_are_one_stream),
        cmocka_unit_test(adverts_must_belong),
        cmocka_unit_test(packets_must_belong),
        cmocka_unit_test(a_mask_key_of_small_order),
        cmocka_unit_test(uploads_must_belong),
        cmocka_unit_test(a_changed_upload_shows),
        cmocka_unit_test(wrong_shares_are_noticed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
