/* The conditions on a parameter set that do not depend on the scheme; what each scheme adds stands in its own file. */
#include "base/error.h"
#include "he/security.h"
#include "ring/modular.h"
#include "ring/prime.h"

static msfl_status bad(const char *set, const char *what, unsigned long long found, const char *expected) {
    return msfl_fail(MSFL_ERR_PARAMS, "%s refused: %s is %llu, expected %s", set, what, found, expected);
}

msfl_status msfl_check_level(const char *set, uint32_t degree, uint32_t security_bits) {
    if (msfl_log2_q_max(degree, 128) == 0) return bad(set, "ring degree", degree, "1024 to 32768");
    if (msfl_log2_q_max(degree, security_bits) == 0) {
        return bad(set, "security level", security_bits, "a level that this ring degree can reach");
    }
    return MSFL_OK;
}

msfl_status msfl_check_prime(const char *set, uint64_t prime, uint32_t degree) {
    if (prime >> MSFL_PRIME_BITS_MAX != 0) return bad(set, "a prime", prime, "a number below 2^50");
    if (prime % (2 * (uint64_t)degree) != 1) return bad(set, "a prime", prime, "one more than a multiple of 2 N");
    if (!msfl_is_prime(prime)) return bad(set, "a prime", prime, "a prime");
    return MSFL_OK;
}

msfl_status msfl_check_primes(const char *set, const uint64_t primes[MSFL_PRIMES_MAX], uint32_t n_primes,
                              uint32_t degree) {
    if (n_primes < 1 || n_primes > MSFL_PRIMES_MAX) return bad(set, "number of primes", n_primes, "1 to 16");
    for (uint32_t i = 0; i < n_primes; i++) {
        if (i > 0 && primes[i] >= primes[i - 1]) return bad(set, "a prime", primes[i], "one below its predecessor");
        msfl_status status = msfl_check_prime(set, primes[i], degree);
        if (status != MSFL_OK) return status;
    }
    for (uint32_t i = n_primes; i < MSFL_PRIMES_MAX; i++) {
        if (primes[i] != 0) return bad(set, "an unused prime", primes[i], "0");
    }
    return MSFL_OK;
}

msfl_status msfl_check_slots(const char *set, uint32_t n_addends, uint32_t value_bits, uint32_t slot_bits,
                             uint32_t slots_per_coefficient, uint32_t log_t) {
    if (value_bits < MSFL_VALUE_BITS_MIN || value_bits > MSFL_VALUE_BITS_MAX) {
        return bad(set, "bits per value", value_bits, "2 to 32");
    }
    if (slot_bits != msfl_slot_bits(n_addends, value_bits)) {
        return bad(set, "slot width", slot_bits, "ceil(log2(n (2^b - 1) + 1))");
    }
    if (slots_per_coefficient < 1 || slots_per_coefficient > MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX / slot_bits) {
        return bad(set, "slots per coefficient", slots_per_coefficient, "what fits 800 bits");
    }
    if (log_t != slots_per_coefficient * slot_bits) return bad(set, "log2 t", log_t, "slots times slot width");
    return MSFL_OK;
}

msfl_status msfl_check_request(const char *addends, uint32_t n_addends, uint32_t security_bits, uint32_t ring_degree) {
    if (n_addends < 1 || n_addends > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u %s: 1 to %d are possible", n_addends, addends, MSFL_CLIENTS_MAX);
    }
    if (security_bits != 0 && security_bits != 128 && security_bits != 192 && security_bits != 256) {
        return msfl_fail(MSFL_ERR_USAGE, "security of %u bits: 128, 192 or 256 are possible", security_bits);
    }
    if (ring_degree != 0 && msfl_log2_q_max(ring_degree, 128) == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "ring degree %u: 1024, 2048, 4096, 8192, 16384 or 32768 are possible",
                         ring_degree);
    }
    return MSFL_OK;
}

msfl_status msfl_check_vector(uint32_t value_bits, uint64_t n_values) {
    if (value_bits < MSFL_VALUE_BITS_MIN || value_bits > MSFL_VALUE_BITS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u bits per value: %d to %d are possible", value_bits, MSFL_VALUE_BITS_MIN,
                         MSFL_VALUE_BITS_MAX);
    }
    if (n_values < 1 || n_values > (uint64_t)1 << 34) {
        return msfl_fail(MSFL_ERR_USAGE, "%llu values: 1 to 2^34 are possible", (unsigned long long)n_values);
    }
    return MSFL_OK;
}
