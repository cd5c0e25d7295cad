#include "he/context.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <string.h>

msfl_status msfl_packed_new(const msfl_params *params, msfl_packed **out) {
    *out = NULL;
    msfl_status status = msfl_params_check(params);
    if (status != MSFL_OK) return status;
    status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    const msfl_kernel *kernel;
    status = msfl_kernel_choose(&kernel);
    if (status != MSFL_OK) return status;
    msfl_packed *ctx = msfl_alloc(1, sizeof *ctx);
    if (ctx == NULL) return MSFL_ERR_MEMORY;
    ctx->params = *params;
    ctx->kernel = kernel;
    for (uint32_t i = 0; i < params->n_primes; i++) {
        status = msfl_modulus_init(&ctx->moduli[i], kernel, params->primes[i], params->ring_degree);
        if (status != MSFL_OK) goto done;
    }
    status = msfl_codec_init(&ctx->codec, ctx->moduli, params->n_primes, params->value_bits, params->slot_bits,
                             params->slots_per_coefficient);
done:
    if (status != MSFL_OK) {
        msfl_packed_free(ctx);
        return status;
    }
    *out = ctx;
    return MSFL_OK;
}

void msfl_packed_free(msfl_packed *ctx) {
    if (ctx == NULL) return;
    msfl_codec_clear(&ctx->codec);
    for (uint32_t i = 0; i < ctx->params.n_primes; i++)
        msfl_modulus_clear(&ctx->moduli[i]);
    msfl_free(ctx);
}

const msfl_params *msfl_packed_params(const msfl_packed *ctx) {
    return &ctx->params;
}

const char *msfl_packed_kernel(const msfl_packed *ctx) {
    return ctx->kernel->name;
}

uint64_t msfl_packed_chunks(const msfl_packed *ctx, uint64_t n_values) {
    return msfl_chunking_of(&ctx->params, n_values).n_chunks;
}

uint32_t msfl_packed_chunk_slots(const msfl_packed *ctx, uint64_t n_values, uint64_t j) {
    msfl_chunking c = msfl_chunking_of(&ctx->params, n_values);
    return j >= c.n_chunks ? 0 : j + 1 == c.n_chunks ? c.last_slots : c.full_slots;
}

size_t msfl_packed_chunk_bytes(const msfl_packed *ctx, uint64_t n_values, uint64_t j) {
    return msfl_chunk_bytes_of(&ctx->params, msfl_packed_chunk_slots(ctx, n_values, j));
}

msfl_chunk_shape msfl_shape_of(const msfl_packed *ctx, uint64_t n_values, uint64_t j) {
    uint32_t slots = msfl_packed_chunk_slots(ctx, n_values, j);
    return (msfl_chunk_shape){.n_slots = slots, .n_coefficients = msfl_coefficients_of(&ctx->params, slots)};
}

void msfl_public_key_of_round(const uint8_t round_seed[MSFL_HASH_BYTES], uint8_t key[16]) {
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.packed.a.v1");
    msfl_hash_add(&h, round_seed, MSFL_HASH_BYTES);
    msfl_hash_final(&h, digest);
    memcpy(key, digest, 16);
}

msfl_status msfl_start_public(msfl_aes *aes, const uint8_t key[16], uint64_t chunk, uint32_t prime) {
    uint8_t iv[MSFL_AES_BLOCK] = {0};
    msfl_store64(iv, chunk);
    msfl_store32(iv + 8, prime);
    return msfl_aes_start(aes, key, 16, iv);
}

void msfl_prepare_key(const msfl_packed *ctx, const int32_t *s, msfl_cell *out) {
    size_t n = ctx->params.ring_degree;
    for (uint32_t i = 0; i < ctx->params.n_primes; i++, out += n) {
        ctx->kernel->import_signed(&ctx->moduli[i], out, s, n);
        ctx->kernel->forward(&ctx->moduli[i], out);
        ctx->kernel->prepare(&ctx->moduli[i], out);
    }
}
