/* msfl-bench-round: what one round costs per party, from floats to the weighted mean, on one thread.
 *
 *   msfl-bench-round [--clients N] [--bits B] [--values COUNT] [--repeat R] [--json]
 *   msfl-bench-round --path [the same]
 *
 * Million values per second, best of the repetitions, over whole updates. Client: check, quantise, encrypt with
 * hashing, seal. Coordinator: upload (hash, check, fold), open and decode together. Authority: milliseconds per
 * client's key.
 *
 * --path measures the encryption engine alone, for 16 and 24 bits unless --bits is given: a client's way from floats to
 * packed ciphertext bytes as one figure (fresh key, quantise, encrypt, pack; no hash, no seal), and the way back (open,
 * decode to floats); beside them, what quantising and decoding take of that. */
#include "path.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "medsecurefl/round.h"
#include "medsecurefl/update.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    uint32_t n_clients, bits;
    uint64_t n_values;
    msfl_update_layout *layout;
    msfl_packed *ctx;
    msfl_authority *authority;
    msfl_round_info info;
    uint64_t n_chunks;
    size_t ciphertext_bytes, bundle_bytes, full_slots;
    float *values, *mean;
    uint32_t *slots;
    uint64_t *totals;
    uint8_t *ciphertext, *bundle;
    int32_t *key_sum;
    double check_s, quantise_s, encrypt_s, seal_s, upload_s, answer_s, open_s; /* best so far */
} bench;

static void best_of(double *best, uint64_t ns) {
    double took = (double)ns * 1e-9;
    if (*best == 0.0 || took < *best) *best = took;
}

static void best_since(double *best, uint64_t start_ns) {
    best_of(best, msfl_now_ns() - start_ns);
}

static msfl_status setup(bench *b) {
    const msfl_update_range range = {b->n_values, 1.0f};
    msfl_status status = msfl_update_layout_new(b->bits, 4, 1000, &range, 1, &b->layout);
    if (status != MSFL_OK) return status;
    const msfl_params_request request = {
        .n_clients = b->n_clients, .value_bits = b->bits, .n_values = msfl_update_slots(b->layout)};
    status = msfl_params_plan(&request, &b->info.params);
    if (status == MSFL_OK) status = msfl_packed_new(&b->info.params, &b->ctx);
    if (status == MSFL_OK) status = msfl_authority_new(&b->authority);
    if (status != MSFL_OK) return status;
    msfl_update_layout_hash(b->layout, b->info.layout);
    msfl_authority_public_key(b->authority, b->info.authority);
    b->info.n_clients = b->n_clients;
    b->info.min_cohort = 2;
    b->info.n_values = request.n_values;
    b->n_chunks = msfl_packed_chunks(b->ctx, request.n_values);
    b->full_slots = msfl_packed_chunk_slots(b->ctx, request.n_values, 0);
    for (uint64_t j = 0; j < b->n_chunks; j++)
        b->ciphertext_bytes += msfl_packed_chunk_bytes(b->ctx, request.n_values, j);
    b->bundle_bytes = msfl_round_bundle_bytes(&b->info.params);
    b->values = msfl_alloc(b->n_values, sizeof *b->values);
    b->mean = msfl_alloc(b->n_values, sizeof *b->mean);
    b->slots = msfl_alloc(b->full_slots, sizeof *b->slots);
    b->totals = msfl_alloc(b->full_slots, sizeof *b->totals);
    b->ciphertext = msfl_alloc(b->ciphertext_bytes, 1);
    b->bundle = msfl_alloc(b->bundle_bytes, 1);
    b->key_sum = msfl_alloc(b->info.params.ring_degree, sizeof *b->key_sum);
    if (b->values == NULL || b->mean == NULL || b->slots == NULL || b->totals == NULL || b->ciphertext == NULL ||
        b->bundle == NULL || b->key_sum == NULL) {
        return MSFL_ERR_MEMORY;
    }
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "bench.round", 0, 0, 0);
    for (uint64_t i = 0; i < b->n_values; i++)
        b->values[i] = (float)(2.0 * msfl_seeded_unit(&g) - 1.0);
    return MSFL_OK;
}

static void clear(bench *b) {
    msfl_update_layout_free(b->layout);
    msfl_packed_free(b->ctx);
    msfl_authority_free(b->authority);
    msfl_free(b->values);
    msfl_free(b->mean);
    msfl_free(b->slots);
    msfl_free(b->totals);
    msfl_free(b->ciphertext);
    msfl_free(b->bundle);
    msfl_free(b->key_sum);
}

static msfl_status one_client(bench *b, msfl_round_coordinator *coordinator, uint32_t client) {
    const uint64_t counters[3] = {1, 2, 3}, n_slots = b->info.n_values;
    const msfl_update_input input = {b->values, 1000, counters, client};
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_update_encoder *encoder = NULL;
    msfl_round_client *c = NULL;
    uint64_t start = msfl_now_ns();
    msfl_status status = msfl_update_check(b->layout, &input);
    best_since(&b->check_s, start);
    /* Chunk by chunk, as a client streams them. */
    uint64_t quantise_ns = msfl_now_ns(), encrypt_ns;
    if (status == MSFL_OK) status = msfl_update_encoder_new(b->layout, &input, &encoder);
    encrypt_ns = msfl_now_ns();
    quantise_ns = encrypt_ns - quantise_ns;
    if (status == MSFL_OK) status = msfl_round_client_new(b->ctx, &b->info, client, &c);
    encrypt_ns = msfl_now_ns() - encrypt_ns;
    size_t at = 0;
    for (uint64_t j = 0, slot = 0; j < b->n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_packed_chunk_slots(b->ctx, n_slots, j);
        start = msfl_now_ns();
        status = msfl_update_quantise(encoder, slot, n, b->slots, NULL);
        uint64_t between = msfl_now_ns();
        if (status == MSFL_OK) status = msfl_round_client_encrypt(c, j, b->slots, b->ciphertext + at);
        quantise_ns += between - start;
        encrypt_ns += msfl_now_ns() - between;
        slot += n;
        at += msfl_packed_chunk_bytes(b->ctx, n_slots, j);
    }
    msfl_update_encoder_free(encoder);
    best_of(&b->quantise_s, quantise_ns);
    best_of(&b->encrypt_s, encrypt_ns);
    start = msfl_now_ns();
    if (status == MSFL_OK) status = msfl_round_client_finish(c, hash, b->bundle);
    best_since(&b->seal_s, start);
    msfl_round_client_free(c);
    start = msfl_now_ns();
    if (status == MSFL_OK) {
        status = msfl_round_coordinator_upload(coordinator, client, b->ciphertext, b->ciphertext_bytes, hash, b->bundle,
                                               b->bundle_bytes);
    }
    best_since(&b->upload_s, start);
    return status;
}

static msfl_status one_round(bench *b) {
    msfl_round_coordinator *c = NULL;
    msfl_update_decoder *decoder = NULL;
    msfl_round_certificate u;
    b->info.number++;
    msfl_status status = msfl_round_coordinator_new(b->ctx, &b->info, &c);
    for (uint32_t i = 0; i < b->n_clients && status == MSFL_OK; i++)
        status = one_client(b, c, i);
    if (status == MSFL_OK) status = msfl_round_coordinator_certify(c, &u);
    if (status != MSFL_OK) goto done;
    uint64_t start = msfl_now_ns();
    status = msfl_authority_answer(b->authority, &b->info, u.clients, u.bundles, u.ciphertext_hashes, u.n, b->key_sum);
    best_since(&b->answer_s, start);
    start = msfl_now_ns();
    if (status == MSFL_OK) status = msfl_round_coordinator_release(c, b->key_sum);
    if (status == MSFL_OK) status = msfl_update_decoder_new(b->layout, b->n_clients, &decoder);
    for (uint64_t j = 0, slot = 0; j < b->n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_packed_chunk_slots(b->ctx, b->info.n_values, j);
        status = msfl_round_coordinator_open(c, j, b->totals);
        if (status == MSFL_OK) status = msfl_update_decode(decoder, slot, n, b->totals, b->mean);
        slot += n;
    }
    best_since(&b->open_s, start);
done:
    msfl_update_decoder_free(decoder);
    msfl_round_coordinator_free(c);
    return status;
}

static void print(const bench *b, bool json) {
    const double m = (double)b->n_values * 1e-6;
    const double figures[] = {m / b->check_s,  m / b->quantise_s, m / b->encrypt_s,
                              m / b->upload_s, m / b->open_s,     b->answer_s / b->n_clients * 1e3,
                              b->seal_s * 1e3};
    if (json) {
        printf("{\"clients\": %u, \"bits\": %u, \"values\": %llu, \"kernel\": \"%s\", \"ciphertext_bytes\": %zu, "
               "\"bundle_bytes\": %zu, \"check_mvps\": %.1f, \"quantise_mvps\": %.1f, \"encrypt_and_hash_mvps\": %.1f, "
               "\"upload_mvps\": %.1f, \"open_and_decode_mvps\": %.1f, \"answer_ms_per_client\": %.4f, "
               "\"seal_ms\": %.4f}\n",
               b->n_clients, b->bits, (unsigned long long)b->n_values, msfl_packed_kernel(b->ctx), b->ciphertext_bytes,
               b->bundle_bytes, figures[0], figures[1], figures[2], figures[3], figures[4], figures[5], figures[6]);
        return;
    }
    printf("%u clients, %u bits, %llu values, kernel %s: %zu bytes of ciphertext, %zu of key bundle per client\n",
           b->n_clients, b->bits, (unsigned long long)b->n_values, msfl_packed_kernel(b->ctx), b->ciphertext_bytes,
           b->bundle_bytes);
    printf("  client       check %8.1f   quantise %8.1f   encrypt and hash %8.1f million values/s   seal %.3f ms\n",
           figures[0], figures[1], figures[2], figures[6]);
    printf("  coordinator  upload %7.1f   open and decode %8.1f million values/s\n", figures[3], figures[4]);
    printf("  authority    %.3f ms per client\n", figures[5]);
}

static msfl_status path(uint32_t n_clients, uint32_t bits, uint64_t n_values, uint64_t repeat, bool json) {
    bench_path p;
    bench_path_rates rates;
    msfl_status status = bench_path_init(&p, n_clients, bits, n_values);
    if (status == MSFL_OK) status = bench_path_measure(&p, repeat, &rates);
    if (status == MSFL_OK && json) {
        printf("{\"clients\": %u, \"bits\": %u, \"values\": %llu, \"kernel\": \"%s\", \"ciphertext_bytes\": %zu, "
               "\"client_mvps\": %.1f, \"open_and_decode_mvps\": %.1f, \"quantise_mvps\": %.1f, \"decode_mvps\": "
               "%.1f}\n",
               n_clients, bits, (unsigned long long)n_values, msfl_packed_kernel(p.ctx), p.ciphertext_bytes,
               rates.client_mvps, rates.open_mvps, rates.quantise_mvps, rates.decode_mvps);
    } else if (status == MSFL_OK) {
        printf("%u clients, %u bits, %llu values, kernel %s, one core, million values/s:\n", n_clients, bits,
               (unsigned long long)n_values, msfl_packed_kernel(p.ctx));
        printf("  floats to ciphertext %8.1f   of which quantise alone %8.1f\n", rates.client_mvps,
               rates.quantise_mvps);
        printf("  sum to floats        %8.1f   of which decode alone   %8.1f\n", rates.open_mvps, rates.decode_mvps);
    }
    bench_path_clear(&p);
    return status;
}

/** A number within [min, max], or 0. */
static uint64_t number(const char *text, uint64_t min, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long v = text == NULL ? 0 : strtoull(text, &end, 10);
    return text == NULL || errno != 0 || *text == 0 || *end != 0 || v < min || v > max ? 0 : v;
}

int main(int argc, char **argv) {
    bench b = {.n_clients = 3, .n_values = 1000000};
    uint64_t repeat = 5;
    bool json = false, path_only = false;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        uint64_t v = 0;
        if (strcmp(name, "--json") == 0) {
            json = true;
            continue;
        }
        if (strcmp(name, "--path") == 0) {
            path_only = true;
            continue;
        }
        if (strcmp(name, "--clients") == 0 && (v = number(value, 2, MSFL_CLIENTS_MAX)) != 0) b.n_clients = (uint32_t)v;
        if (strcmp(name, "--bits") == 0 && (v = number(value, 2, 32)) != 0) b.bits = (uint32_t)v;
        if (strcmp(name, "--values") == 0 && (v = number(value, 1, 1u << 28)) != 0) b.n_values = v;
        if (strcmp(name, "--repeat") == 0 && (v = number(value, 1, 1000)) != 0) repeat = v;
        if (v == 0) {
            fprintf(
                stderr,
                "usage: msfl-bench-round [--path] [--clients N] [--bits B] [--values COUNT] [--repeat R] [--json]\n");
            return 2;
        }
        i++;
    }
    msfl_status status = MSFL_OK;
    if (path_only) {
        const uint32_t widths[] = {b.bits != 0 ? b.bits : 16, 24};
        for (size_t i = 0; i < (b.bits != 0 ? 1 : 2) && status == MSFL_OK; i++)
            status = path(b.n_clients, widths[i], b.n_values, repeat, json);
        if (status != MSFL_OK) fprintf(stderr, "msfl-bench-round: %s\n", msfl_error_message());
        return msfl_status_exit_code(status);
    }
    if (b.bits == 0) b.bits = 24;
    status = setup(&b);
    for (uint64_t i = 0; i < repeat && status == MSFL_OK; i++)
        status = one_round(&b);
    if (status == MSFL_OK) {
        print(&b, json);
    } else {
        fprintf(stderr, "msfl-bench-round: %s\n", msfl_error_message());
    }
    clear(&b);
    return msfl_status_exit_code(status);
}
