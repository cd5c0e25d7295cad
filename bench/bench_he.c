/* msfl-bench-he: values per second through the packed scheme, beside memcpy and AES on the same machine in the same
 * run.
 *
 *   msfl-bench-he [--clients N] [--bits B] [--values COUNT] [--ring N] [--threads T] [--seconds S] [--json]
 *
 * Every figure is the best of the repetitions that fit into --seconds, so that a neighbour on the machine costs little.
 * A million values a second (mvps) are counted over whole updates: encryption from 32-bit slots to packed bytes,
 * folding of one update into the sum, opening of the sum to 64-bit totals. extra_memory_bytes is what stays resident
 * beside the caller's own values, ciphertext and totals: tables, a key, the sum, working memory. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/threads.h"
#include "medsecurefl/packed.h"
#include "ring/aes.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct job {
    msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_packed_sum *sum;
    int32_t *key_sum;
    uint32_t *slots;
    uint8_t *bytes;
    uint64_t *totals;
    uint64_t n_values, n_chunks;
    size_t full_bytes;
    uint32_t full_slots;
} job;

typedef struct result {
    msfl_params params;
    uint64_t n_values;
    double encrypt_mvps, fold_mvps, open_mvps, bytes_per_value;
    uint64_t extra_memory_bytes;
    char kernel[16];
} result;

static msfl_status encrypt_chunk(void *arg, size_t j) {
    job *b = arg;
    return msfl_packed_encrypt(b->ctx, b->key, j, b->slots + j * b->full_slots, b->bytes + j * b->full_bytes);
}

static msfl_status fold_chunk(void *arg, size_t j) {
    job *b = arg;
    return msfl_packed_fold(b->ctx, b->sum, j, b->bytes + j * b->full_bytes,
                            msfl_packed_chunk_bytes(b->ctx, b->n_values, j));
}

static msfl_status open_chunk(void *arg, size_t j) {
    job *b = arg;
    return msfl_packed_open(b->ctx, b->sum, j, msfl_packed_sum_addends(b->sum), b->key_sum,
                            b->totals + j * b->full_slots);
}

static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL) return 0;
    if (fscanf(f, "%*u %llu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds_since(uint64_t start_ns) {
    return (double)(msfl_now_ns() - start_ns) * 1e-9;
}

/** One client's update, folded. Adds to the best times. */
static msfl_status one_client(job *b, msfl_pool *pool, const uint8_t *seed, double *encrypt_s, double *fold_s) {
    size_t degree = msfl_packed_params(b->ctx)->ring_degree;
    msfl_status status = msfl_packed_key_new(b->ctx, seed, b->n_values, &b->key);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < degree; i++)
        b->key_sum[i] += msfl_packed_key_borrow(b->key)[i];
    uint64_t start = msfl_now_ns();
    status = msfl_pool_run(pool, b->n_chunks, encrypt_chunk, b);
    double took = seconds_since(start);
    if (took < *encrypt_s) *encrypt_s = took;
    msfl_packed_key_free(b->key);
    b->key = NULL;
    if (status != MSFL_OK) return status;
    start = msfl_now_ns();
    status = msfl_pool_run(pool, b->n_chunks, fold_chunk, b);
    took = seconds_since(start);
    if (took < *fold_s) *fold_s = took;
    return status;
}

static msfl_status measure(const msfl_params_request *request, msfl_pool *pool, double seconds, result *out) {
    job b = {.n_values = request->n_values};
    msfl_params_facts facts;
    const uint8_t seed[MSFL_HASH_BYTES] = {42};
    msfl_status status = msfl_params_plan(request, &out->params);
    if (status != MSFL_OK) return status;
    msfl_params_describe(&out->params, b.n_values, &facts);
    out->n_values = b.n_values;
    out->bytes_per_value = (double)facts.ciphertext_bytes / (double)b.n_values;
    b.n_chunks = facts.n_chunks;
    b.slots = msfl_alloc(b.n_values, sizeof *b.slots);
    b.bytes = msfl_alloc(facts.ciphertext_bytes, 1);
    b.totals = msfl_alloc(b.n_values, sizeof *b.totals);
    b.key_sum = msfl_alloc(out->params.ring_degree, sizeof *b.key_sum);
    status = MSFL_ERR_MEMORY;
    if (b.slots == NULL || b.bytes == NULL || b.totals == NULL || b.key_sum == NULL) goto done;
    uint32_t mask = (uint32_t)(((uint64_t)1 << request->value_bits) - 1);
    for (uint64_t i = 0; i < b.n_values; i++)
        b.slots[i] = (uint32_t)(i * 2654435761u) & mask;
    uint64_t before = resident_bytes();
    status = msfl_packed_new(&out->params, &b.ctx);
    if (status != MSFL_OK) goto done;
    snprintf(out->kernel, sizeof out->kernel, "%s", msfl_packed_kernel(b.ctx));
    b.full_slots = msfl_packed_chunk_slots(b.ctx, b.n_values, 0);
    b.full_bytes = msfl_packed_chunk_bytes(b.ctx, b.n_values, 0);
    status = msfl_packed_sum_new(b.ctx, seed, b.n_values, &b.sum);
    double encrypt_s = 1e9, fold_s = 1e9, open_s = 1e9;
    uint64_t begun = msfl_now_ns();
    uint32_t clients = 0;
    /* As many clients as the set is for, and then again from an empty sum while there is time. */
    while (status == MSFL_OK && (clients == 0 || seconds_since(begun) < seconds / 2)) {
        if (clients == out->params.n_clients) {
            msfl_packed_sum_free(b.sum);
            b.sum = NULL;
            memset(b.key_sum, 0, out->params.ring_degree * sizeof *b.key_sum);
            status = msfl_packed_sum_new(b.ctx, seed, b.n_values, &b.sum);
            clients = 0;
            if (status != MSFL_OK) break;
        }
        status = one_client(&b, pool, seed, &encrypt_s, &fold_s);
        clients++;
    }
    begun = msfl_now_ns();
    for (int turn = 0; status == MSFL_OK && (turn == 0 || seconds_since(begun) < seconds / 2); turn++) {
        uint64_t start = msfl_now_ns();
        status = msfl_pool_run(pool, b.n_chunks, open_chunk, &b);
        double took = seconds_since(start);
        if (took < open_s) open_s = took;
    }
    if (status != MSFL_OK) goto done;
    for (uint64_t i = 0; i < b.n_values; i++) {
        if (b.totals[i] == (uint64_t)clients * b.slots[i]) continue;
        fprintf(stderr, "msfl-bench-he: wrong sum\n");
        status = MSFL_ERR_CRYPTO;
        goto done;
    }
    uint64_t after = resident_bytes();
    out->extra_memory_bytes = after > before ? after - before : 0;
    out->encrypt_mvps = (double)b.n_values / encrypt_s * 1e-6;
    out->fold_mvps = (double)b.n_values / fold_s * 1e-6;
    out->open_mvps = (double)b.n_values / open_s * 1e-6;
done:
    msfl_packed_sum_free(b.sum);
    msfl_packed_key_free(b.key);
    msfl_packed_free(b.ctx);
    msfl_free(b.slots);
    msfl_free(b.bytes);
    msfl_free(b.totals);
    msfl_free(b.key_sum);
    return status;
}

/** Bytes copied per second, between buffers that no cache holds. */
static double memcpy_gbps(void) {
    const size_t size = (size_t)128 << 20;
    uint8_t *a = msfl_alloc(size, 1), *b = msfl_alloc(size, 1);
    double best = 1e9;
    for (int i = 0; a != NULL && b != NULL && i < 10; i++) {
        a[i] = (uint8_t)i;
        uint64_t start = msfl_now_ns();
        memcpy(b, a, size);
        double took = seconds_since(start);
        if (took < best && b[i] == (uint8_t)i) best = took;
    }
    msfl_free(a);
    msfl_free(b);
    return (double)size / best * 1e-9;
}

/** AES-128 in counter mode as the public polynomials are drawn from, 8 KiB at a time; `kernel` NULL: by libcrypto. */
static double aes_ctr_gbps(const msfl_kernel *kernel) {
    enum { SIZE = 8192, TIMES = 4096 };
    static uint8_t buffer[SIZE];
    const uint8_t key[16] = {1}, iv[MSFL_AES_BLOCK] = {0};
    msfl_aes *aes;
    double best = 1e9;
    if (msfl_aes_new(kernel, &aes) != MSFL_OK) return 0;
    for (int turn = 0; turn < 5; turn++) {
        uint64_t start = msfl_now_ns();
        if (msfl_aes_start(aes, key, sizeof key, iv) != MSFL_OK) break;
        for (int i = 0; i < TIMES; i++) {
            if (msfl_aes_read(aes, buffer, SIZE) != MSFL_OK) break;
        }
        double took = seconds_since(start);
        if (took < best) best = took;
    }
    msfl_aes_free(aes);
    return (double)SIZE * TIMES / best * 1e-9;
}

static json_t *result_json(const result *r) {
    return json_pack("{s:s,s:i,s:i,s:I,s:i,s:i,s:o,s:o,s:o,s:o,s:I}", "scheme", "packed", "bits",
                     (int)r->params.value_bits, "clients", (int)r->params.n_clients, "values", (json_int_t)r->n_values,
                     "ring_degree", (int)r->params.ring_degree, "primes", (int)r->params.n_primes, "encrypt_mvps",
                     msfl_json_real(r->encrypt_mvps), "fold_mvps", msfl_json_real(r->fold_mvps), "open_mvps",
                     msfl_json_real(r->open_mvps), "bytes_per_value", msfl_json_real(r->bytes_per_value),
                     "extra_memory_bytes", (json_int_t)r->extra_memory_bytes);
}

static void print_result(const result *r) {
    printf("packed  %2u bits  %4u clients  %9llu values  N %5u x %2u primes  encrypt %7.1f  fold %7.1f  open %7.1f "
           "Mvalues/s"
           "  %.3f B/value  %.1f MB extra\n",
           r->params.value_bits, r->params.n_clients, (unsigned long long)r->n_values, r->params.ring_degree,
           r->params.n_primes, r->encrypt_mvps, r->fold_mvps, r->open_mvps, r->bytes_per_value,
           (double)r->extra_memory_bytes * 1e-6);
    fflush(stdout);
}

typedef struct settings {
    msfl_params_request one; /* n_clients 0: the usual table */
    uint32_t threads;
    double seconds;
    bool json;
} settings;

static bool read_settings(int argc, char **argv, settings *s) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            s->json = true;
            continue;
        }
        if (i + 1 >= argc) return false;
        double v = strtod(argv[i + 1], NULL);
        if (v < 0 || v > 1e11) return false;
        if (strcmp(argv[i], "--clients") == 0) {
            s->one.n_clients = (uint32_t)v;
        } else if (strcmp(argv[i], "--bits") == 0) {
            s->one.value_bits = (uint32_t)v;
        } else if (strcmp(argv[i], "--values") == 0) {
            s->one.n_values = (uint64_t)v;
        } else if (strcmp(argv[i], "--ring") == 0) {
            s->one.ring_degree = (uint32_t)v;
        } else if (strcmp(argv[i], "--threads") == 0) {
            s->threads = (uint32_t)v;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            s->seconds = v;
        } else {
            return false;
        }
        i++;
    }
    return true;
}

int main(int argc, char **argv) {
    static const msfl_params_request usual[] = {
        {10, 16, 5000, 128, 0},      {10, 16, 1000000, 128, 8192},   {10, 16, 25600000, 128, 8192},
        {10, 16, 25600000, 128, 0},  {3, 24, 222722, 128, 0},        {10, 24, 1000000, 128, 8192},
        {10, 8, 1000000, 128, 8192}, {1000, 16, 1000000, 128, 8192},
    };
    settings s = {.one = {0, 16, 1000000, 128, 0}, .threads = 1, .seconds = 2};
    if (!read_settings(argc, argv, &s)) {
        fprintf(stderr, "usage: msfl-bench-he [--clients N] [--bits B] [--values COUNT] [--ring N] [--threads T] "
                        "[--seconds S] [--json]\n");
        return 2;
    }
    bool single = s.one.n_clients != 0 || s.one.n_values != 1000000 || s.one.ring_degree != 0 || s.one.value_bits != 16;
    if (single && s.one.n_clients == 0) s.one.n_clients = 10;
    msfl_pool *pool = NULL;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_pool_new(s.threads, &pool);
    const msfl_kernel *in_use = NULL;
    if (status == MSFL_OK) status = msfl_kernel_choose(&in_use);
    double copy = memcpy_gbps(), aes = aes_ctr_gbps(NULL), own_aes = aes_ctr_gbps(in_use);
    const char *kernel = "";
    json_t *results = json_array();
    result r = {0};
    size_t n = single ? 1 : sizeof usual / sizeof usual[0];
    for (size_t i = 0; status == MSFL_OK && i < n; i++) {
        status = measure(single ? &s.one : &usual[i], pool, s.seconds, &r);
        if (status != MSFL_OK) break;
        kernel = r.kernel;
        json_array_append_new(results, result_json(&r));
        if (!s.json) print_result(&r);
    }
    if (status == MSFL_OK && s.json) {
        json_t *all = json_pack("{s:O,s:o,s:o,s:o,s:s,s:i}", "results", results, "memcpy_gbps", msfl_json_real(copy),
                                "aes_ctr_gbps", msfl_json_real(aes), "kernel_aes_ctr_gbps", msfl_json_real(own_aes),
                                "kernel", kernel, "threads", (int)msfl_pool_threads(pool));
        char *text = NULL;
        status = msfl_json_text(all, false, &text);
        if (status == MSFL_OK) printf("%s\n", text);
        msfl_free(text);
        json_decref(all);
    } else if (status == MSFL_OK) {
        printf("kernel %s, %u threads; memcpy %.2f GB/s, AES-128-CTR %.2f GB/s by libcrypto, %.2f GB/s by the kernel\n",
               kernel, msfl_pool_threads(pool), copy, aes, own_aes);
    }
    json_decref(results);
    msfl_pool_free(pool);
    if (status != MSFL_OK) fprintf(stderr, "msfl-bench-he: %s\n", msfl_error_message());
    return msfl_status_exit_code(status);
}
