#include "path.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/seeded.h"

#include <string.h>

static const uint8_t round_seed[MSFL_HASH_BYTES] = "msfl-bench-round, path";
static const uint64_t counters[3] = {1, 2, 3};
enum { SAMPLES = 1000 };

msfl_status bench_path_init(bench_path *p, uint32_t n_clients, uint32_t bits, uint64_t n_values) {
    *p = (bench_path){.n_clients = n_clients, .bits = bits, .n_values = n_values};
    const msfl_update_range range = {n_values, 1.0f};
    msfl_status status = msfl_update_layout_new(bits, 4, SAMPLES, &range, 1, &p->layout);
    if (status != MSFL_OK) return status;
    p->n_slots = msfl_update_slots(p->layout);
    const msfl_params_request request = {.n_clients = n_clients, .value_bits = bits, .n_values = p->n_slots};
    msfl_params params;
    status = msfl_params_plan(&request, &params);
    if (status == MSFL_OK) status = msfl_packed_new(&params, &p->ctx);
    if (status == MSFL_OK) status = msfl_packed_sum_new(p->ctx, round_seed, p->n_slots, &p->sum);
    if (status != MSFL_OK) return status;
    p->n_chunks = msfl_packed_chunks(p->ctx, p->n_slots);
    for (uint64_t j = 0; j < p->n_chunks; j++)
        p->ciphertext_bytes += msfl_packed_chunk_bytes(p->ctx, p->n_slots, j);
    const size_t chunk = msfl_packed_chunk_slots(p->ctx, p->n_slots, 0);
    p->values = msfl_alloc(n_values, sizeof *p->values);
    p->mean = msfl_alloc(n_values, sizeof *p->mean);
    p->slots = msfl_alloc(chunk, sizeof *p->slots);
    p->totals = msfl_alloc(chunk, sizeof *p->totals);
    p->ciphertext = msfl_alloc(p->ciphertext_bytes, 1);
    p->key_sum = msfl_alloc(params.ring_degree, sizeof *p->key_sum);
    if (p->values == NULL || p->mean == NULL || p->slots == NULL || p->totals == NULL || p->ciphertext == NULL ||
        p->key_sum == NULL) {
        return MSFL_ERR_MEMORY;
    }
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "bench.path", 0, 0, 0);
    for (uint64_t i = 0; i < n_values; i++)
        p->values[i] = (float)(2.0 * msfl_seeded_unit(&g) - 1.0);
    return MSFL_OK;
}

void bench_path_clear(bench_path *p) {
    msfl_update_layout_free(p->layout);
    msfl_packed_sum_free(p->sum);
    msfl_packed_free(p->ctx);
    msfl_free(p->values);
    msfl_free(p->mean);
    msfl_free(p->slots);
    msfl_free(p->totals);
    msfl_free(p->ciphertext);
    msfl_free(p->key_sum);
    *p = (bench_path){0};
}

static double since(uint64_t start_ns) {
    return (double)(msfl_now_ns() - start_ns) * 1e-9;
}

/** Quantise every chunk and, with a key, encrypt it. */
static msfl_status client_chunks(bench_path *p, uint32_t client, msfl_packed_key *key) {
    const msfl_update_input input = {p->values, SAMPLES, counters, client};
    msfl_update_encoder *encoder = NULL;
    msfl_status status = msfl_update_encoder_new(p->layout, &input, &encoder);
    uint64_t slot = 0;
    size_t at = 0;
    for (uint64_t j = 0; j < p->n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_packed_chunk_slots(p->ctx, p->n_slots, j);
        status = msfl_update_quantise(encoder, slot, n, p->slots, NULL);
        if (status == MSFL_OK && key != NULL) {
            status = msfl_packed_encrypt(p->ctx, key, j, p->slots, p->ciphertext + at);
        }
        slot += n;
        at += msfl_packed_chunk_bytes(p->ctx, p->n_slots, j);
    }
    msfl_update_encoder_free(encoder);
    return status;
}

static msfl_status add_client(bench_path *p, const msfl_packed_key *key) {
    size_t at = 0;
    for (uint64_t j = 0; j < p->n_chunks; j++) {
        size_t length = msfl_packed_chunk_bytes(p->ctx, p->n_slots, j);
        msfl_status status = msfl_packed_fold(p->ctx, p->sum, j, p->ciphertext + at, length);
        if (status != MSFL_OK) return status;
        at += length;
    }
    const int32_t *s = msfl_packed_key_borrow(key);
    for (uint32_t i = 0; i < msfl_packed_params(p->ctx)->ring_degree; i++)
        p->key_sum[i] += s[i];
    return MSFL_OK;
}

msfl_status bench_path_client(bench_path *p, uint32_t client, bool add, double *seconds) {
    msfl_packed_key *key = NULL;
    uint64_t start = msfl_now_ns();
    msfl_status status = msfl_packed_key_new(p->ctx, round_seed, p->n_slots, &key);
    if (status == MSFL_OK) status = client_chunks(p, client, key);
    *seconds = since(start);
    if (status == MSFL_OK && add) status = add_client(p, key);
    msfl_packed_key_free(key);
    return status;
}

msfl_status bench_path_quantise(bench_path *p, double *seconds) {
    uint64_t start = msfl_now_ns();
    msfl_status status = client_chunks(p, 0, NULL);
    *seconds = since(start);
    return status;
}

msfl_status bench_path_open(bench_path *p, double *seconds) {
    msfl_update_decoder *decoder = NULL;
    uint64_t start = msfl_now_ns(), slot = 0;
    msfl_status status = msfl_update_decoder_new(p->layout, p->n_clients, &decoder);
    for (uint64_t j = 0; j < p->n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_packed_chunk_slots(p->ctx, p->n_slots, j);
        status = msfl_packed_open(p->ctx, p->sum, j, p->n_clients, p->key_sum, p->totals);
        if (status == MSFL_OK) status = msfl_update_decode(decoder, slot, n, p->totals, p->mean);
        slot += n;
    }
    *seconds = since(start);
    msfl_update_decoder_free(decoder);
    return status;
}

msfl_status bench_path_decode(bench_path *p, double *seconds) {
    msfl_update_decoder *decoder = NULL;
    msfl_status status = msfl_update_decoder_new(p->layout, p->n_clients, &decoder);
    const uint64_t n_counter_slots = p->n_slots - p->n_values;
    uint64_t *first = msfl_alloc(n_counter_slots, sizeof *first);
    if (first == NULL) status = MSFL_ERR_MEMORY;
    if (status == MSFL_OK) {
        first[0] = p->n_clients; /* one sample each */
        status = msfl_update_decode(decoder, 0, n_counter_slots, first, p->mean);
    }
    msfl_free(first);
    const uint64_t chunk = msfl_packed_chunk_slots(p->ctx, p->n_slots, 0);
    for (uint64_t i = 0; i < chunk; i++)
        p->totals[i] = p->n_clients * (UINT64_C(1) << (p->bits - 1));
    uint64_t start = msfl_now_ns();
    for (uint64_t slot = n_counter_slots; slot < p->n_slots && status == MSFL_OK; slot += chunk) {
        uint64_t n = p->n_slots - slot < chunk ? p->n_slots - slot : chunk;
        status = msfl_update_decode(decoder, slot, (size_t)n, p->totals, p->mean);
    }
    *seconds = since(start);
    msfl_update_decoder_free(decoder);
    return status;
}

/** Keep the higher rate. */
static void keep(const bench_path *p, double seconds, double *mvps) {
    double rate = (double)p->n_values * 1e-6 / seconds;
    if (rate > *mvps) *mvps = rate;
}

msfl_status bench_path_measure(bench_path *p, uint64_t repeat, bench_path_rates *rates) {
    *rates = (bench_path_rates){0};
    double seconds;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < p->n_clients && status == MSFL_OK; i++) {
        status = bench_path_client(p, i, true, &seconds);
        if (status == MSFL_OK) keep(p, seconds, &rates->client_mvps);
    }
    for (uint64_t i = 0; i < repeat && status == MSFL_OK; i++) {
        status = bench_path_client(p, 0, false, &seconds);
        if (status == MSFL_OK) keep(p, seconds, &rates->client_mvps);
        if (status == MSFL_OK) status = bench_path_open(p, &seconds);
        if (status == MSFL_OK) keep(p, seconds, &rates->open_mvps);
        if (status == MSFL_OK) status = bench_path_quantise(p, &seconds);
        if (status == MSFL_OK) keep(p, seconds, &rates->quantise_mvps);
        if (status == MSFL_OK) status = bench_path_decode(p, &seconds);
        if (status == MSFL_OK) keep(p, seconds, &rates->decode_mvps);
    }
    return status;
}
