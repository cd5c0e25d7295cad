/* The planner and the check of foreign sets. */
#include "base/sodium.h"
#include "he/security.h"
#include "ring/modular.h"
#include "ring/prime.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void noise_bound_is_the_stated_one(void **state) {
    (void)state;
    assert_int_equal(msfl_noise_bound(1), 81);
    for (uint32_t n = 2; n <= MSFL_CLIENTS_MAX; n++) {
        uint32_t bound = msfl_noise_bound(n);
        assert_true((uint64_t)bound * bound <= 9216ull * n && (bound + 1ull) * (bound + 1ull) > 9216ull * n);
        assert_true(bound <= 81 * n);
        /* 2^34 values, one per coefficient: below 2^-128. */
        assert_true(34 + 1 - (bound + 1.0) * (bound + 1.0) / (81.0 * n) / log(2) < -128);
    }
}

static void slot_width_is_just_enough(void **state) {
    (void)state;
    for (uint32_t b = 2; b <= 32; b++) {
        for (uint32_t n = 1; n <= 10000; n += n < 70 ? 1 : 97) {
            uint64_t most = n * (((uint64_t)1 << b) - 1);
            uint32_t w = msfl_slot_bits(n, b);
            assert_true(most >> w == 0 && most >> (w - 1) != 0);
        }
    }
}

/** The conditions once more, from the definitions in docs/design/packed.md, without the planner's functions. */
static void prove(const msfl_params *p) {
    static const double table[6][3] = {{28, 0, 0},      {55, 38, 30},    {108, 75, 58},
                                       {216, 149, 116}, {432, 299, 232}, {870, 599, 464}};
    double log2_q = 0;
    for (uint32_t i = 0; i < p->n_primes; i++) {
        assert_true(p->primes[i] < (uint64_t)1 << 50);
        assert_int_equal(p->primes[i] % (2 * p->ring_degree), 1);
        if (i > 0) assert_true(p->primes[i] < p->primes[i - 1]);
        log2_q += log2((double)p->primes[i]);
    }
    double max = table[__builtin_ctz(p->ring_degree) - 10][p->security_bits / 64 - 2];
    assert_true(log2_q < max);
    double sigma = sqrt(40.5), bound = floor(96 * sqrt(p->n_clients) + 1e-9);
    assert_true(bound + 1 > 15 * sigma * sqrt(p->n_clients));
    if (81.0 * p->n_clients < bound) bound = 81.0 * p->n_clients;
    assert_true(p->log_t + log2(2 * bound + 1) < log2_q);
    /* ... and no more than a bit or so too large, except for the smallest moduli, where primes are rare. */
    if (p->log_t > 20) assert_true(log2_q < p->log_t + log2(2 * bound + 1) + 1.1);
    assert_int_equal(p->log_t, p->slot_bits * p->slots_per_coefficient);
}

static void the_sweep_holds(void **state) {
    (void)state;
    bool slow = getenv("MSFL_SANITIZED") != NULL;
    for (uint32_t b = 2; b <= 32; b++) {
        for (uint32_t n = 1; n <= 10000; n += n < 40 ? 1 : n < 1000 ? 61 : slow ? 3111 : 499) {
            for (uint32_t security = 128; security <= 256; security += 64) {
                if (slow && (security != 128 || b % 7 != 2)) continue;
                msfl_params p;
                uint64_t values = security == 192 ? 25600000 : b * 1000 + n;
                msfl_params_request r = {n, b, values, security, 0};
                if (msfl_params_plan(&r, &p) != MSFL_OK) fail_msg("%u x %u: %s", n, b, msfl_error_message());
                if (msfl_params_check(&p) != MSFL_OK) fail_msg("%u x %u: %s", n, b, msfl_error_message());
                assert_int_equal(p.n_clients, n);
                assert_int_equal(p.value_bits, b);
                prove(&p);
            }
        }
    }
}

static void every_n_of_the_usual_widths(void **state) {
    (void)state;
    uint32_t step = getenv("MSFL_SANITIZED") != NULL ? 101 : 1;
    static const uint32_t bits[] = {8, 16, 24};
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t n = 1; n <= 10000; n += step) {
            msfl_params p;
            msfl_params_request r = {n, bits[i], 222722, 128, 8192};
            if (msfl_params_plan(&r, &p) != MSFL_OK) fail_msg("%u x %u: %s", n, bits[i], msfl_error_message());
            prove(&p);
        }
    }
}

static void sizes_on_the_wire(void **state) {
    (void)state;
    static const uint64_t sizes[] = {5000, 60000, 222722, 25600000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint32_t n = 2; n <= 20; n++) {
            static const struct {
                uint32_t bits;
                double share;
            } goals[] = {{24, 1.1}, {16, 0.75}};
            for (int k = 0; k < 2; k++) {
                msfl_params p;
                msfl_params_facts f;
                msfl_params_request r = {n, goals[k].bits, sizes[i], 0, 0};
                assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
                msfl_params_describe(&p, sizes[i], &f);
                if ((double)f.ciphertext_bytes > goals[k].share * 4 * (double)sizes[i]) {
                    fail_msg("n %u, %u bits, %llu values: %llu bytes", n, goals[k].bits, (unsigned long long)sizes[i],
                             (unsigned long long)f.ciphertext_bytes);
                }
                assert_true(f.log2_failure < -128);
                assert_true(fabs(f.bits_per_value - 8.0 * (double)f.ciphertext_bytes / (double)sizes[i]) < 1e-9);
            }
        }
    }
}

static void known_plan(void **state) {
    (void)state;
    /* Four primes for 9 slots of 20 bits: 190 bits, 21.11 per value. Five for 10 slots would be 210 bits, 21.0 per
     * value, half a per cent less on the wire for an eighth more work. */
    msfl_params p;
    msfl_params_request r = {10, 16, 1000000, 128, 8192};
    assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
    assert_int_equal(p.slot_bits, 20);
    assert_int_equal(p.slots_per_coefficient, 9);
    assert_int_equal(p.n_primes, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(64 - __builtin_clzll(p.primes[i]), i < 2 ? 48 : 47);
    msfl_params_facts f;
    msfl_params_describe(&p, 1000000, &f);
    assert_int_equal(f.n_chunks, 14);
    /* 111,112 coefficients: 13 full chunks, and 4,616 in the last. */
    assert_int_equal(f.ciphertext_bytes, 13 * 8192 * 190 / 8 + 4616 * 190 / 8);
    assert_int_equal(f.key_share_bytes, 20528);
    /* The chunk sizes that `describe` adds up are those that encryption makes. */
    assert_int_equal(msfl_chunk_bytes_of(&p, 9 * 8192), 8192 * 190 / 8);
    assert_int_equal(msfl_chunk_bytes_of(&p, 1), 4 * 6);
}

/* What bytes are worth in time: a large ring saves a few per cent of a large model's bytes, but takes half as long
 * again. A small model pays for its key share. */
static void degrees_are_weighed(void **state) {
    (void)state;
    static const struct {
        uint32_t clients, bits;
        uint64_t values;
        uint32_t degree, primes;
    } known[] = {{10, 24, 25600000, 16384, 7}, {10, 16, 1000000, 16384, 7}, {100, 16, 1000000, 8192, 4},
                 {10, 16, 60000, 8192, 4},     {10, 16, 5000, 4096, 2},     {10, 8, 1000000, 8192, 4}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        msfl_params p, other;
        msfl_params_request r = {known[i].clients, known[i].bits, known[i].values, 128, 0};
        assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
        assert_int_equal(p.ring_degree, known[i].degree);
        assert_int_equal(p.n_primes, known[i].primes);
        /* No degree has an eighth fewer bytes. */
        uint64_t bytes = msfl_ciphertext_bytes(&p, r.n_values);
        for (r.ring_degree = 1024; r.ring_degree <= 32768; r.ring_degree *= 2) {
            if (msfl_params_plan(&r, &other) != MSFL_OK) continue;
            uint64_t least = msfl_ciphertext_bytes(&other, r.n_values);
            assert_true(bytes <= least + least / 8);
        }
    }
}

/** A set of five primes of 42 bits for 10 clients of 16 bits, which the planner would not choose. */
static msfl_params five_primes(void) {
    msfl_params p = {.ring_degree = 8192,
                     .n_primes = 5,
                     .security_bits = 128,
                     .n_clients = 10,
                     .value_bits = 16,
                     .slot_bits = 20,
                     .slots_per_coefficient = 10,
                     .log_t = 200};
    uint64_t bound = (uint64_t)1 << 42;
    for (uint32_t i = 0; i < 5; i++)
        bound = p.primes[i] = msfl_prime_below(bound, 2, 8192);
    return p;
}

static void refusals_say_why(void **state) {
    (void)state;
    msfl_params p;
    msfl_params_request r = {10000, 32, 1000, 128, 1024};
    assert_int_equal(msfl_params_plan(&r, &p), MSFL_ERR_PARAMS);
    const char *m = msfl_error_message();
    assert_non_null(strstr(m, "46 bits"));
    assert_non_null(strstr(m, "log2 q must be 61"));
    assert_non_null(strstr(m, "28 is allowed"));
    assert_non_null(strstr(m, "Ring degree 4096 or more"));
    r = (msfl_params_request){3, 8, 1000, 192, 1024};
    assert_int_equal(msfl_params_plan(&r, &p), MSFL_ERR_PARAMS);
    assert_int_equal(p.ring_degree, 0);
    static const msfl_params_request wrong[] = {
        {0, 16, 1000, 0, 0},     {10001, 16, 1000, 0, 0},   {3, 1, 1000, 0, 0},    {3, 33, 1000, 0, 0},
        {3, 16, 0, 0, 0},        {3, 16, UINT64_MAX, 0, 0}, {3, 16, 1000, 100, 0}, {3, 16, 1000, 0, 1000},
        {3, 16, 1000, 0, 65536}, {3, 16, 1000, 0, 512},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(msfl_params_plan(&wrong[i], &p), MSFL_ERR_USAGE);
}

/** The set with one thing changed must not pass. */
static void foreign_sets_are_proved(void **state) {
    (void)state;
    msfl_params good = five_primes(), p;
    assert_int_equal(msfl_params_check(&good), MSFL_OK);
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        p = good;                                                                                                      \
        change;                                                                                                        \
        assert_int_equal(msfl_params_check(&p), MSFL_ERR_PARAMS);                                                      \
    } while (0)
    REFUSED(p.ring_degree = 4096);
    REFUSED(p.ring_degree = 16384);
    REFUSED(p.ring_degree = 0);
    REFUSED(p.ring_degree = 8191);
    REFUSED(p.n_primes = 0);
    REFUSED(p.n_primes = 17);
    REFUSED(p.n_primes = UINT32_MAX);
    REFUSED(p.n_primes = 4);
    REFUSED(p.n_primes = 4; p.primes[4] = 0);
    REFUSED(p.primes[0] = 0);
    REFUSED(p.primes[4] = p.primes[3]);
    REFUSED(p.primes[4] -= 2);
    REFUSED(p.primes[4] -= 16384);
    REFUSED(p.primes[0] += (uint64_t)1 << 50);
    REFUSED(p.primes[9] = 1);
    REFUSED(uint64_t first = p.primes[0]; p.primes[0] = p.primes[1]; p.primes[1] = first);
    REFUSED(p.security_bits = 0);
    REFUSED(p.security_bits = 192);
    REFUSED(p.security_bits = 129);
    REFUSED(p.n_clients = 0);
    REFUSED(p.n_clients = 17); /* needs slots of 21 bits */
    REFUSED(p.n_clients = 10001);
    REFUSED(p.value_bits = 17);
    REFUSED(p.value_bits = 0);
    REFUSED(p.value_bits = 64);
    REFUSED(p.slot_bits = 21);
    REFUSED(p.slot_bits = 0);
    REFUSED(p.slots_per_coefficient = 11);
    REFUSED(p.slots_per_coefficient = 0);
    REFUSED(p.slots_per_coefficient = 11; p.log_t = 220);
    REFUSED(p.slots_per_coefficient = 1; p.log_t = 20); /* a modulus far too large */
    REFUSED(p.log_t = 199);
#undef REFUSED
    /* Not prime, though all else fits: the product of two primes of the right form. */
    p = good;
    uint64_t a = msfl_prime_below((uint64_t)1 << 21, 2, 8192);
    for (uint64_t b = a;; b = msfl_prime_below(b, 2, 8192)) {
        assert_true(b != 0);
        if (a * b < p.primes[3] && a * b > (uint64_t)1 << 41) {
            p.primes[4] = a * b;
            break;
        }
    }
    assert_int_equal(p.primes[4] % 16384, 1);
    assert_int_equal(msfl_params_check(&p), MSFL_ERR_PARAMS);
}

static void fewer_clients_fit_the_same_set(void **state) {
    (void)state;
    /* A set planned for 10 clients is also one for 9, whose slots are as wide. */
    msfl_params p = five_primes();
    p.n_clients = 9;
    assert_int_equal(msfl_params_check(&p), MSFL_OK);
}

/* The bytes of an upload under a degree that is insisted on; 0 if nothing fits. */
static double upload_bytes(msfl_params_request r, uint32_t degree, uint64_t *ciphertext) {
    msfl_params p;
    r.ring_degree = degree;
    if (msfl_params_plan(&r, &p) != MSFL_OK) return 0;
    *ciphertext = msfl_ciphertext_bytes(&p, r.n_values);
    return (double)*ciphertext + r.n_shares * (20.0 * degree / 8 + 48);
}

/* One share is the plan without a committee. However many: no ciphertext is more than an eighth above the smallest,
 * found here by trying all degrees; and the ring never grows with the committee. */
static void shares_are_weighed(void **state) {
    (void)state;
    msfl_params p, one;
    static const uint64_t values[] = {10, 2000, 24434, 222722, 1000000, 25600000};
    for (uint32_t n = 2; n <= 16; n += 7) {
        for (uint32_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            for (uint32_t b = 8; b <= 24; b += 8) {
                msfl_params_request r = {.n_clients = n, .value_bits = b, .n_values = values[v]};
                assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
                r.n_shares = 1;
                assert_int_equal(msfl_params_plan(&r, &one), MSFL_OK);
                assert_memory_equal(&p, &one, sizeof p);
                uint32_t before = one.ring_degree;
                for (r.n_shares = 2; r.n_shares <= MSFL_SHARES_MAX; r.n_shares++) {
                    double smallest = INFINITY, taken = 0;
                    uint64_t ciphertext = 0;
                    assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
                    for (uint32_t degree = 1024; degree <= 32768; degree *= 2) {
                        double bytes = upload_bytes(r, degree, &ciphertext);
                        if (bytes > 0 && (double)ciphertext < smallest) smallest = (double)ciphertext;
                        if (degree == p.ring_degree) taken = (double)ciphertext;
                    }
                    assert_true(taken > 0 && taken <= smallest * 1.125 + 1);
                    assert_true(p.ring_degree <= before);
                    before = p.ring_degree;
                }
            }
        }
    }
    /* 16 members, a million values: N = 16384 would send 656,128 bytes of shares beside 3.6 MB. */
    msfl_params_request r = {16, 24, 1000000, 128, 0, 16};
    assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
    assert_int_equal(p.ring_degree, 8192);
    r.n_shares = 17;
    assert_int_equal(msfl_params_plan(&r, &p), MSFL_ERR_USAGE);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_bound_is_the_stated_one),
        cmocka_unit_test(slot_width_is_just_enough),
        cmocka_unit_test(the_sweep_holds),
        cmocka_unit_test(every_n_of_the_usual_widths),
        cmocka_unit_test(sizes_on_the_wire),
        cmocka_unit_test(known_plan),
        cmocka_unit_test(degrees_are_weighed),
        cmocka_unit_test(shares_are_weighed),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(foreign_sets_are_proved),
        cmocka_unit_test(fewer_clients_fit_the_same_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
