#include "vault/codec.h"

#include "base/error.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>

/* The layout of a vector of `n_values` under a key: one counter (samples), one range. */
static msfl_status layout_of_key(const msfl_key_spec *spec, uint64_t n_values, msfl_update_layout **out) {
    const msfl_update_range range = {n_values, (float)spec->clip};
    return msfl_update_layout_new(spec->request.value_bits, 1, spec->samples_max, &range, 1, out);
}

/* --- encoding --- */

static msfl_status check_samples(const msfl_keyfile *key, uint64_t samples) {
    if (samples <= key->info.spec.samples_max) return MSFL_OK;
    return msfl_fail(MSFL_ERR_LIMIT,
                     "a weight of %llu samples, and this key allows %llu: it was made without --samples-max, or with a "
                     "smaller one",
                     (unsigned long long)samples, (unsigned long long)key->info.spec.samples_max);
}

/** NaN and infinities were refused before. */
static msfl_status check_range(const float *values, uint64_t n, double clip) {
    const float bound = (float)clip;
    for (uint64_t i = 0; i < n; i++) {
        if (fabsf(values[i]) <= bound) continue;
        return msfl_fail(
            MSFL_ERR_NUMERIC,
            "value %llu lies outside +-%g, the range of this key; a key made with a larger --clip takes it, "
            "--clip-values moves it to the edge",
            (unsigned long long)i, clip);
    }
    return MSFL_OK;
}

static msfl_status fill_head(const msfl_keyfile *key, const msfl_content *content, uint64_t round, vault_encoder *e) {
    vault_head *head = &e->head;
    msfl_status status = vault_head_content(head, content);
    if (status != MSFL_OK) return status;
    head->info.version = 1;
    head->info.spec = key->info.spec;
    head->info.spec.request.n_values = msfl_update_slots(e->layout);
    head->info.round = round;
    head->info.n_chunks = msfl_setup_chunks(e->setup);
    memcpy(head->info.key_id, key->info.key_id, sizeof head->info.key_id);
    memcpy(head->adder, key->adder, key->adder_length);
    head->adder_length = key->adder_length;
    msfl_random_bytes(head->info.file_id, sizeof head->info.file_id);
    status = vault_head_addends(head, (const vault_file_id *)&head->info.file_id, 1);
    return status == MSFL_OK ? vault_head_label(head, head->info.label) : status;
}

msfl_status vault_encoder_init(const msfl_keyfile *key, const msfl_content *content, const float *values,
                               const msfl_cipher_options *options, vault_encoder *out) {
    *out = (vault_encoder){0};
    static const msfl_cipher_options defaults;
    if (options == NULL) options = &defaults;
    if (key->info.half != MSFL_KEY_PUBLIC) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is a secret key; encrypting takes the public one, public.msk",
                         key->name);
    }
    vault_encoder e = {0};
    msfl_update_input input = {.values = values, .n_samples = options->samples == 0 ? 1 : options->samples};
    msfl_random_bytes(&input.rounding_seed, sizeof input.rounding_seed);
    msfl_status status = check_samples(key, input.n_samples);
    if (status == MSFL_OK && content->n_values == 0) {
        status = msfl_fail(MSFL_ERR_USAGE, "the vector has no values: there is nothing to encrypt");
    }
    if (status == MSFL_OK) status = layout_of_key(&key->info.spec, content->n_values, &e.layout);
    if (status == MSFL_OK) status = msfl_update_check(e.layout, &input);
    if (status == MSFL_OK && !options->clip_values)
        status = check_range(values, content->n_values, key->info.spec.clip);
    if (status == MSFL_OK) {
        status = msfl_keyfile_open(key, msfl_update_slots(e.layout), NULL, &e.setup, &e.keys);
    }
    if (status == MSFL_OK) status = msfl_update_encoder_new(e.layout, &input, &e.quantiser);
    if (status == MSFL_OK) status = fill_head(key, content, options->round, &e);
    if (status == MSFL_OK) {
        uint64_t last = msfl_setup_chunks(e.setup) - 1;
        size_t bytes = msfl_setup_chunk_bytes(e.setup, 0), bytes_last = msfl_setup_chunk_bytes(e.setup, last);
        e.slots = msfl_alloc(msfl_setup_chunk_values(e.setup, 0), sizeof *e.slots);
        e.chunk = msfl_alloc(bytes > bytes_last ? bytes : bytes_last, 1);
        if (e.slots == NULL || e.chunk == NULL) status = MSFL_NO_MEMORY;
    }
    if (status != MSFL_OK) {
        vault_encoder_clear(&e);
        return status;
    }
    *out = e;
    return MSFL_OK;
}

msfl_status vault_encoder_next(vault_encoder *encoder, uint64_t j) {
    uint32_t n = msfl_setup_chunk_values(encoder->setup, j);
    msfl_status status =
        msfl_update_quantise(encoder->quantiser, encoder->next_slot, n, encoder->slots, &encoder->stats);
    if (status != MSFL_OK) return status;
    encoder->next_slot += n;
    encoder->chunk_length = msfl_setup_chunk_bytes(encoder->setup, j);
    return msfl_pair_encrypt(encoder->keys, encoder->head.info.label, j, encoder->slots, encoder->chunk);
}

void vault_encoder_clear(vault_encoder *encoder) {
    if (encoder->slots != NULL) {
        msfl_wipe(encoder->slots, msfl_setup_chunk_values(encoder->setup, 0) * sizeof *encoder->slots);
    }
    msfl_update_encoder_free(encoder->quantiser);
    msfl_free(encoder->slots);
    msfl_free(encoder->chunk);
    msfl_keys_free(encoder->keys);
    msfl_setup_free(encoder->setup);
    msfl_update_layout_free(encoder->layout);
    vault_head_clear(&encoder->head);
    *encoder = (vault_encoder){0};
}

/* --- decoding --- */

msfl_status vault_decoder_init(const vault_head *head, const msfl_setup *setup, float *mean, vault_decoder *out) {
    *out = (vault_decoder){0};
    vault_decoder d = {.head = head, .mean = mean};
    const msfl_cipher_info *info = &head->info;
    msfl_status status = layout_of_key(&info->spec, info->content.n_values, &d.layout);
    if (status == MSFL_OK && msfl_update_slots(d.layout) != info->spec.request.n_values) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the header states %llu slots for %llu values; they take %llu",
                           (unsigned long long)info->spec.request.n_values, (unsigned long long)info->content.n_values,
                           (unsigned long long)msfl_update_slots(d.layout));
    }
    if (status == MSFL_OK) status = msfl_update_decoder_new(d.layout, info->n_addends, &d.decoder);
    if (status == MSFL_OK) {
        d.totals = msfl_alloc(msfl_setup_chunk_values(setup, 0), sizeof *d.totals);
        if (d.totals == NULL) status = MSFL_NO_MEMORY;
    }
    if (status != MSFL_OK) {
        vault_decoder_clear(&d);
        return status;
    }
    *out = d;
    return MSFL_OK;
}

msfl_status vault_decoder_next(vault_decoder *decoder, const msfl_setup *setup, const msfl_keys *keys, uint64_t j,
                               const uint8_t *bytes, size_t length) {
    uint32_t n = msfl_setup_chunk_values(setup, j), addends;
    msfl_status status =
        msfl_pair_decrypt(keys, decoder->head->info.label, j, bytes, length, &addends, decoder->totals);
    if (status == MSFL_OK && addends != decoder->head->info.n_addends) {
        status = msfl_fail(MSFL_ERR_FORMAT, "chunk %llu is a sum of %u vectors, and the header says %u",
                           (unsigned long long)j, addends, decoder->head->info.n_addends);
    }
    if (status == MSFL_OK) {
        status = msfl_update_decode(decoder->decoder, decoder->next_slot, n, decoder->totals, decoder->mean);
    }
    decoder->next_slot += n;
    return status;
}

static float to_float(double x) {
    return x > (double)FLT_MAX ? FLT_MAX : x < -(double)FLT_MAX ? -FLT_MAX : (float)x;
}

void vault_decoder_finish(const vault_decoder *decoder, float *sum, msfl_opened *opened) {
    const msfl_cipher_info *info = &decoder->head->info;
    const uint64_t samples = msfl_update_counter(decoder->decoder, 0);
    for (uint64_t i = 0; sum != NULL && i < info->content.n_values; i++)
        sum[i] = to_float((double)decoder->mean[i] * (double)samples);
    if (opened == NULL) return;
    *opened =
        (msfl_opened){info->n_addends, samples, msfl_update_error_bound(decoder->layout, 0, info->n_addends, samples)};
}

void vault_decoder_clear(vault_decoder *decoder) {
    msfl_free(decoder->totals);
    msfl_update_decoder_free(decoder->decoder);
    msfl_update_layout_free(decoder->layout);
    *decoder = (vault_decoder){0};
}

msfl_status vault_head_fits_key(const char *name, const vault_head *head, const msfl_keyfile *key) {
    if (memcmp(head->info.key_id, key->info.key_id, MSFL_KEY_ID_BYTES) != 0) {
        char theirs[2 * MSFL_KEY_ID_BYTES + 1], ours[2 * MSFL_KEY_ID_BYTES + 1];
        vault_id_text(head->info.key_id, theirs);
        vault_id_text(key->info.key_id, ours);
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s is encrypted under the key %s, and %s is %s; halves of replaced keys are in the folder "
                         "retired, named by their ids",
                         name, theirs, key->name, ours);
    }
    msfl_key_spec spec = head->info.spec;
    const msfl_key_spec *own = &key->info.spec;
    spec.request.n_values = own->request.n_values;
    bool same = strcmp(spec.scheme, own->scheme) == 0 && spec.request.n_clients == own->request.n_clients &&
                spec.request.min_cohort == own->request.min_cohort &&
                spec.request.value_bits == own->request.value_bits &&
                spec.request.security_bits == own->request.security_bits &&
                spec.request.ring_degree == own->request.ring_degree && spec.clip == own->clip &&
                spec.samples_max == own->samples_max && head->adder_length == key->adder_length &&
                memcmp(head->adder, key->adder, key->adder_length) == 0;
    if (same) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISMATCH, "%s names the key of %s but other parameters than that key's", name, key->name);
}
