/* layer: he
 *
 * Lets a script look into Paillier keys and ciphertexts. Integers are hexadecimal; files hold keys and chunks as they
 * are.
 *
 *   paillier_probe keygen BITS PUBLIC SECRET
 *   paillier_probe base PUBLIC                                              h
 *   paillier_probe encrypt PUBLIC METHOD CLIENTS BITS SLOTS VALUES CHUNKS   VALUES: 32-bit integers; all chunks in a
 * row paillier_probe add PUBLIC CLIENTS BITS SLOTS N A B SUM paillier_probe decrypt SECRET CLIENTS BITS SLOTS N CHUNKS
 * TOTALS        TOTALS: 64-bit integers paillier_probe bench BITS CLIENTS BITS SLOTS                            rates
 * on one core METHOD: 1 random base, 2 fixed base. SLOTS: 0 as many as fit.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "he/paillier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t label[MSFL_HASH_BYTES] = "paillier_probe";

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "paillier_probe: %s: %s\n", what, msfl_error_message());
    exit(1);
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != MSFL_OK) stop(#call);                                                                            \
    } while (0)

static uint8_t *read_file(const char *path, size_t *length) {
    uint8_t *bytes;
    TRY(msfl_file_read(path, (size_t)1 << 30, &bytes, length));
    return bytes;
}

static msfl_paillier_public *read_public(const char *path) {
    size_t length;
    uint8_t *bytes = read_file(path, &length);
    msfl_paillier_public *key;
    TRY(msfl_paillier_public_read(bytes, length, &key));
    msfl_free(bytes);
    return key;
}

static uint32_t number(const char *text) {
    return (uint32_t)strtoul(text, NULL, 10);
}

static msfl_paillier_shape shape_of(uint32_t key_bits, char **clients_bits_slots, uint64_t n_values) {
    msfl_paillier_shape shape;
    TRY(msfl_paillier_plan(key_bits, number(clients_bits_slots[0]), number(clients_bits_slots[1]), n_values,
                           number(clients_bits_slots[2]), &shape));
    return shape;
}

static size_t all_bytes(const msfl_paillier_shape *shape) {
    size_t length = 0;
    for (uint64_t j = 0; j < msfl_paillier_chunks(shape); j++)
        length += msfl_paillier_chunk_bytes(shape, j);
    return length;
}

static int keygen(char **argv) {
    msfl_paillier_secret *key;
    uint8_t bytes[MSFL_PAILLIER_SECRET_BYTES_MAX];
    TRY(msfl_paillier_keygen(number(argv[0]), &key));
    const msfl_paillier_public *public = msfl_paillier_public_borrow(key);
    msfl_paillier_public_write(public, bytes);
    TRY(msfl_file_write(argv[1], bytes, msfl_paillier_public_bytes(public)));
    msfl_paillier_secret_write(key, bytes);
    TRY(msfl_file_write(argv[2], bytes, msfl_paillier_secret_bytes(key)));
    msfl_paillier_secret_free(key);
    return 0;
}

static int base(char **argv) {
    msfl_paillier_public *key = read_public(argv[0]);
    msfl_limb h[MSFL_LIMBS_MAX];
    msfl_work w;
    TRY(msfl_work_init(&w, 8 * key->limbs));
    msfl_paillier_base(key, h, &w);
    for (size_t i = key->limbs; i-- > 0;)
        printf("%016llx", (unsigned long long)h[i]);
    printf("\n");
    msfl_work_clear(&w);
    msfl_paillier_public_free(key);
    return 0;
}

static int encrypt(char **argv) {
    msfl_paillier_public *key = read_public(argv[0]);
    msfl_paillier_encryptor *encryptor;
    TRY(msfl_paillier_encryptor_new(key, (msfl_paillier_method)number(argv[1]), &encryptor));
    size_t length;
    uint8_t *bytes = read_file(argv[5], &length);
    uint32_t *values = (uint32_t *)(void *)bytes;
    msfl_paillier_shape shape = shape_of(key->bits, argv + 2, length / 4);
    uint8_t *out = msfl_alloc(all_bytes(&shape), 1), *at = out;
    for (uint64_t j = 0; j < msfl_paillier_chunks(&shape); j++) {
        TRY(msfl_paillier_encrypt(encryptor, &shape, label, j, values, at));
        values += msfl_paillier_chunk_values(&shape, j);
        at += msfl_paillier_chunk_bytes(&shape, j);
    }
    TRY(msfl_file_write(argv[6], out, all_bytes(&shape)));
    msfl_free(out);
    msfl_free(bytes);
    msfl_paillier_encryptor_free(encryptor);
    msfl_paillier_public_free(key);
    return 0;
}

static int add(char **argv) {
    msfl_paillier_public *key = read_public(argv[0]);
    msfl_paillier_shape shape = shape_of(key->bits, argv + 1, number(argv[4]));
    size_t length, length_b;
    uint8_t *a = read_file(argv[5], &length), *b = read_file(argv[6], &length_b), *at = a, *at_b = b;
    if (length != all_bytes(&shape) || length_b != length) stop("lengths");
    for (uint64_t j = 0; j < msfl_paillier_chunks(&shape); j++) {
        size_t bytes = msfl_paillier_chunk_bytes(&shape, j);
        TRY(msfl_paillier_add(key, &shape, label, j, at, at_b, bytes));
        at += bytes;
        at_b += bytes;
    }
    TRY(msfl_file_write(argv[7], a, length));
    msfl_free(a);
    msfl_free(b);
    msfl_paillier_public_free(key);
    return 0;
}

static int decrypt(char **argv) {
    size_t length;
    uint8_t *bytes = read_file(argv[0], &length);
    msfl_paillier_secret *key;
    TRY(msfl_paillier_secret_read(bytes, length, &key));
    msfl_free(bytes);
    uint64_t n_values = number(argv[4]);
    msfl_paillier_shape shape = shape_of(key->public->bits, argv + 1, n_values);
    bytes = read_file(argv[5], &length);
    if (length != all_bytes(&shape)) stop("length");
    uint64_t *totals = msfl_alloc(n_values, sizeof *totals), *total = totals;
    uint8_t *at = bytes;
    for (uint64_t j = 0; j < msfl_paillier_chunks(&shape); j++) {
        TRY(msfl_paillier_decrypt(key, &shape, label, j, at, msfl_paillier_chunk_bytes(&shape, j), NULL, total));
        total += msfl_paillier_chunk_values(&shape, j);
        at += msfl_paillier_chunk_bytes(&shape, j);
    }
    TRY(msfl_file_write(argv[6], totals, n_values * sizeof *totals));
    msfl_free(totals);
    msfl_free(bytes);
    msfl_paillier_secret_free(key);
    return 0;
}

static void rate(const char *what, const msfl_paillier_shape *shape, uint64_t ns, unsigned times) {
    double seconds = (double)ns * 1e-9 / times;
    printf("%-22s %9.1f ciphertexts/s %12.0f values/s\n", what, MSFL_PAILLIER_CHUNK / seconds,
           (double)shape->n_values / seconds);
}

static int bench(char **argv) {
    msfl_paillier_secret *key;
    const uint32_t bits = number(argv[0]);
    uint64_t start = msfl_thread_cpu_ns();
    TRY(msfl_paillier_keygen(bits, &key));
    printf("key generation         %9.3f s\n", (double)(msfl_thread_cpu_ns() - start) * 1e-9);
    msfl_paillier_shape shape = shape_of(bits, argv + 1, 1);
    shape.n_values = (uint64_t)shape.slots_per_ciphertext * MSFL_PAILLIER_CHUNK; /* one full chunk */
    size_t length = msfl_paillier_chunk_bytes(&shape, 0);
    uint32_t *values = msfl_alloc(shape.n_values, sizeof *values);
    uint64_t *totals = msfl_alloc(shape.n_values, sizeof *totals);
    uint8_t *chunk = msfl_alloc(length, 1), *acc = msfl_alloc(length, 1);
    printf("%u slots of %u bits, %.2f bytes per value\n", shape.slots_per_ciphertext, shape.slot_bits,
           (double)length / (double)shape.n_values);
    for (uint64_t i = 0; i < shape.n_values; i++)
        values[i] = (uint32_t)(i * 2654435761U) >> (32 - shape.value_bits);
    for (int method = MSFL_PAILLIER_RANDOM_BASE; method <= MSFL_PAILLIER_FIXED_BASE; method++) {
        msfl_paillier_encryptor *e;
        start = msfl_thread_cpu_ns();
        TRY(msfl_paillier_encryptor_new(key->public, (msfl_paillier_method)method, &e));
        if (method == MSFL_PAILLIER_FIXED_BASE)
            printf("table                  %9.3f s\n", (double)(msfl_thread_cpu_ns() - start) * 1e-9);
        unsigned times = method == MSFL_PAILLIER_FIXED_BASE ? 20 : 2;
        start = msfl_thread_cpu_ns();
        for (unsigned i = 0; i < times; i++)
            TRY(msfl_paillier_encrypt(e, &shape, label, 0, values, chunk));
        rate(method == MSFL_PAILLIER_FIXED_BASE ? "encrypt, fixed base" : "encrypt, random base", &shape,
             msfl_thread_cpu_ns() - start, times);
        msfl_paillier_encryptor_free(e);
    }
    start = msfl_thread_cpu_ns();
    for (unsigned i = 0; i < 100; i++)
        TRY(msfl_paillier_check(key->public, &shape, label, 0, chunk, length, NULL));
    rate("check", &shape, msfl_thread_cpu_ns() - start, 100);
    uint64_t spent = 0;
    for (unsigned i = 0; i < 100; i++) {
        memcpy(acc, chunk, length);
        start = msfl_thread_cpu_ns();
        TRY(msfl_paillier_add(key->public, &shape, label, 0, acc, chunk, length));
        spent += msfl_thread_cpu_ns() - start;
    }
    rate("check both and add", &shape, spent, 100);
    start = msfl_thread_cpu_ns();
    for (unsigned i = 0; i < 5; i++)
        TRY(msfl_paillier_decrypt(key, &shape, label, 0, acc, length, NULL, totals));
    rate("decrypt", &shape, msfl_thread_cpu_ns() - start, 5);
    for (uint64_t i = 0; i < shape.n_values; i++) {
        if (totals[i] != 2 * (uint64_t)values[i]) stop("the sum is wrong");
    }
    msfl_free(values);
    msfl_free(totals);
    msfl_free(chunk);
    msfl_free(acc);
    msfl_paillier_secret_free(key);
    return 0;
}

int main(int argc, char **argv) {
    TRY(msfl_crypto_init());
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 5 && strcmp(what, "keygen") == 0) return keygen(argv + 2);
    if (argc == 3 && strcmp(what, "base") == 0) return base(argv + 2);
    if (argc == 9 && strcmp(what, "encrypt") == 0) return encrypt(argv + 2);
    if (argc == 10 && strcmp(what, "add") == 0) return add(argv + 2);
    if (argc == 9 && strcmp(what, "decrypt") == 0) return decrypt(argv + 2);
    if (argc == 6 && strcmp(what, "bench") == 0) return bench(argv + 2);
    fprintf(stderr, "see the head of paillier_probe.c\n");
    return 2;
}
