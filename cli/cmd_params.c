/* medsecurefl params: the parameter set that a round would use, or the numbers that say why there is none. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "medsecurefl/params.h"
#include "text/json.h"

#include <math.h>
#include <stdio.h>

static uint32_t width_of(uint64_t prime) {
    uint32_t bits = 0;
    for (; prime != 0; prime >>= 1)
        bits++;
    return bits;
}

static void print_table(const msfl_params *p, const msfl_params_facts *f, uint64_t n_values, uint32_t n_shares) {
    double plain = 4.0 * (double)n_values;
    printf("%u clients, %u bits per value, %llu values\n\n", p->n_clients, p->value_bits, (unsigned long long)n_values);
    printf("ring degree N           %u\n", p->ring_degree);
    printf("primes                  %u:", p->n_primes);
    for (uint32_t i = 0; i < p->n_primes; i++)
        printf(" %llu%s", (unsigned long long)p->primes[i],
               i + 1 < p->n_primes && i % 4 == 3 ? "\n                       " : "");
    printf("\n                        of");
    for (uint32_t i = 0; i < p->n_primes; i++)
        printf(" %u", width_of(p->primes[i]));
    printf(" bits\n");
    printf("log2 q                  %.3f, at most %.0f for %u-bit security (2024/463, Table 5.2)\n", f->log2_q,
           f->log2_q_max, p->security_bits);
    printf("plaintext               2^%u = %u slots of %u bits per coefficient\n", p->log_t, p->slots_per_coefficient,
           p->slot_bits);
    printf("sum of errors           below 2^%.2f\n", f->noise_bits_max);
    if (isfinite(f->log2_failure)) {
        printf("wrong sum anywhere      chance below 2^%.1f\n", ceil(f->log2_failure * 10) / 10);
    } else {
        printf("wrong sum anywhere      never\n");
    }
    printf("chunks                  %llu\n", (unsigned long long)f->n_chunks);
    printf("ciphertext              %llu bytes, %.2f bits per value, %.3f times float32\n",
           (unsigned long long)f->ciphertext_bytes, f->bits_per_value, (double)f->ciphertext_bytes / plain);
    if (n_shares == 1) {
        printf("key share               %llu bytes for each member of the committee\n",
               (unsigned long long)f->key_share_bytes);
    } else {
        const uint64_t shares = n_shares * f->key_share_bytes;
        printf("key shares              %u of %llu bytes, together %.3f times the ciphertext\n", n_shares,
               (unsigned long long)f->key_share_bytes, (double)shares / (double)f->ciphertext_bytes);
        printf("upload                  %llu bytes\n", (unsigned long long)(f->ciphertext_bytes + shares));
    }
}

static msfl_status print_json(const msfl_params *p, const msfl_params_facts *f, uint64_t n_values, uint32_t n_shares) {
    json_t *primes = json_array();
    for (uint32_t i = 0; i < p->n_primes; i++)
        json_array_append_new(primes, json_integer((json_int_t)p->primes[i]));
    json_t *all = json_pack("{s:i,s:i,s:I,s:i,s:i,s:o,s:i,s:i,s:i}", "clients", (int)p->n_clients, "bits",
                            (int)p->value_bits, "values", (json_int_t)n_values, "security_bits", (int)p->security_bits,
                            "ring_degree", (int)p->ring_degree, "primes", primes, "slot_bits", (int)p->slot_bits,
                            "slots_per_coefficient", (int)p->slots_per_coefficient, "log_t", (int)p->log_t);
    json_t *facts =
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:I,s:i}", "log2_q", msfl_json_real(f->log2_q), "log2_q_max",
                  msfl_json_real(f->log2_q_max), "noise_bits_max", msfl_json_real(f->noise_bits_max), "log2_failure",
                  msfl_json_real(f->log2_failure), "bits_per_value", msfl_json_real(f->bits_per_value), "chunks",
                  (json_int_t)f->n_chunks, "ciphertext_bytes", (json_int_t)f->ciphertext_bytes, "ratio_to_float32",
                  msfl_json_real((double)f->ciphertext_bytes / (4.0 * (double)n_values)), "key_share_bytes",
                  (json_int_t)f->key_share_bytes, "shares", (int)n_shares);
    char *text = NULL;
    msfl_status status = all == NULL || facts == NULL || json_object_update(all, facts) != 0
                             ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the answer")
                             : msfl_json_text(all, false, &text);
    if (status == MSFL_OK) printf("%s\n", text);
    msfl_free(text);
    json_decref(all);
    json_decref(facts);
    return status;
}

msfl_status cmd_params(int argc, char **argv) {
    msfl_params_request request = {
        .n_clients = 10, .value_bits = 16, .n_values = 1000000, .security_bits = 128, .n_shares = 1};
    bool json = false;
    const cli_option options[] = {
        {"clients", CLI_U32, &request.n_clients, 1, MSFL_CLIENTS_MAX},
        {"bits", CLI_U32, &request.value_bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX},
        {"values", CLI_U64, &request.n_values, 1, 17179869184.0},
        {"security", CLI_U32, &request.security_bits, 128, 256},
        {"ring", CLI_U32, &request.ring_degree, 0, MSFL_RING_DEGREE_MAX},
        {"shares", CLI_U32, &request.n_shares, 1, MSFL_SHARES_MAX},
        {"json", CLI_FLAG, &json, 0, 0},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    msfl_params params;
    status = msfl_params_plan(&request, &params);
    if (status != MSFL_OK) return status;
    msfl_params_facts facts;
    msfl_params_describe(&params, request.n_values, &facts);
    if (json) return print_json(&params, &facts, request.n_values, request.n_shares);
    print_table(&params, &facts, request.n_values, request.n_shares);
    return MSFL_OK;
}
