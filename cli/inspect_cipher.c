/* Ciphertext files and model files. */
#include "base/error.h"
#include "base/sodium.h"
#include "columns.h"
#include "inspect.h"
#include "medsecurefl/model.h"

#include <stdio.h>
#include <string.h>

static void print_content(const msfl_content *c) {
    if (c->kind == MSFL_CONTENT_VECTOR) {
        printf("  holds        an array of %llu values, shape", (unsigned long long)c->n_values);
        for (uint32_t i = 0; i < c->rank; i++)
            printf("%s%llu", i == 0 ? " " : " x ", (unsigned long long)c->dims[i]);
        printf("\n");
        return;
    }
    msfl_model *model;
    if (msfl_model_parse("the model", c->model_yaml, strlen(c->model_yaml), 0, 0, 0, 0, &model) != MSFL_OK) {
        printf("  holds        a model of %llu values, whose description this program does not understand\n",
               (unsigned long long)c->n_values);
        return;
    }
    const msfl_model_info *info = msfl_model_info_borrow(model);
    printf("  holds        the model ");
    cli_print_safely(stdout, info->name);
    printf(", ");
    if (info->is_volume) printf("%u x ", info->depth);
    printf("%u x %u x %u -> %u classes, %llu values\n", info->height, info->width, info->channels, info->n_classes,
           (unsigned long long)c->n_values);
    if (c->recipe != NULL) printf("  recipe       %s\n", c->recipe);
    msfl_model_free(model);
}

static void print_cipher(const char *path, const msfl_cipher_info *info, bool verified) {
    char id[2 * MSFL_KEY_ID_BYTES + 1];
    msfl_hex(info->key_id, sizeof info->key_id, id);
    printf("%s: %s, version %u\n", path, info->n_addends == 1 ? "one encrypted vector" : "a sum of encrypted vectors",
           info->version);
    printf("  key          %s\n", id);
    inspect_spec(&info->spec, NULL);
    print_content(&info->content);
    printf("  addends      %u\n", info->n_addends);
    printf("  round        %llu\n", (unsigned long long)info->round);
    printf("  size         %llu bytes in %llu chunks, %.2f bytes a value\n", (unsigned long long)info->file_bytes,
           (unsigned long long)info->n_chunks, (double)info->file_bytes / (double)info->content.n_values);
    if (verified) {
        printf("  whole        every chunk is in its place and undamaged (this finds damage, not forgery)\n");
    } else {
        printf("  whole        only the header was looked at\n");
    }
}

static json_t *cipher_json(const char *path, const msfl_cipher_info *info, bool verified) {
    json_t *o = json_object();
    if (o == NULL) return NULL;
    const msfl_content *c = &info->content;
    json_object_set_new(o, "file", msfl_json_string(path));
    json_object_set_new(o, "kind", json_string("ciphertext"));
    json_object_set_new(o, "version", json_integer(info->version));
    inspect_hex(o, "key_id", info->key_id, sizeof info->key_id);
    inspect_hex(o, "file_id", info->file_id, sizeof info->file_id);
    inspect_hex(o, "label", info->label, sizeof info->label);
    inspect_spec(&info->spec, o);
    json_object_set_new(o, "addends", json_integer(info->n_addends));
    json_object_set_new(o, "round", json_integer((json_int_t)info->round));
    json_object_set_new(o, "chunks", json_integer((json_int_t)info->n_chunks));
    json_object_set_new(o, "bytes", json_integer((json_int_t)info->file_bytes));
    json_object_set_new(o, "content", json_string(c->kind == MSFL_CONTENT_MODEL ? "model" : "array"));
    json_object_set_new(o, "n_values", json_integer((json_int_t)c->n_values));
    if (c->kind == MSFL_CONTENT_VECTOR) {
        json_t *shape = json_array();
        for (uint32_t i = 0; i < c->rank; i++)
            json_array_append_new(shape, json_integer((json_int_t)c->dims[i]));
        json_object_set_new(o, "shape", shape);
    }
    if (c->kind == MSFL_CONTENT_MODEL) {
        json_object_set_new(o, "recipe", msfl_json_string(c->recipe));
    }
    json_object_set_new(o, "verified", json_boolean(verified));
    return o;
}

msfl_status inspect_cipher(const char *path, const inspect_options *options, json_t **json) {
    msfl_cipher *cipher;
    msfl_status status = msfl_cipher_open(path, &cipher);
    if (status != MSFL_OK) return status;
    const bool verified = !options->header_only;
    if (verified) {
        msfl_observer observer;
        cli_terminal *terminal = cli_watch(path, options->quiet, &observer);
        status = msfl_cipher_verify(cipher, &observer);
        cli_terminal_free(terminal);
    }
    const msfl_cipher_info *info = msfl_cipher_info_borrow(cipher);
    if (status == MSFL_OK && json != NULL) {
        status = inspect_done(cipher_json(path, info, verified), json);
    } else if (status == MSFL_OK) {
        print_cipher(path, info, verified);
    }
    msfl_cipher_free(cipher);
    return status;
}

msfl_status inspect_model(const char *path, json_t **json) {
    msfl_model *model;
    float *weights;
    msfl_model_extra extra;
    msfl_status status = msfl_model_load(path, &model, &weights, &extra);
    if (status != MSFL_OK) return status;
    const msfl_model_info *info = msfl_model_info_borrow(model);
    float largest = 0;
    for (uint64_t i = 0; i < info->n_values; i++) {
        float size = weights[i] < 0 ? -weights[i] : weights[i];
        if (size > largest) largest = size;
    }
    if (json != NULL) {
        json_t *o = json_object();
        uint8_t hash[MSFL_HASH_BYTES];
        msfl_model_hash(model, hash);
        if (o != NULL) {
            json_object_set_new(o, "file", msfl_json_string(path));
            json_object_set_new(o, "kind", json_string("model"));
            json_object_set_new(o, "name", msfl_json_string(info->name));
            inspect_hex(o, "hash", hash, sizeof hash);
            json_object_set_new(o, "n_values", json_integer((json_int_t)info->n_values));
            json_object_set_new(o, "largest", msfl_json_real((double)largest));
            json_object_set_new(o, "recipe", msfl_json_string(extra.recipe));
            json_object_set_new(o, "recipe_name", msfl_json_string(extra.recipe_name));
        }
        status = inspect_done(o, json);
    } else {
        printf("%s: a model, not encrypted\n", path);
        printf("  network      ");
        cli_print_safely(stdout, info->name);
        printf(", ");
        if (info->is_volume) printf("%u x ", info->depth);
        printf("%u x %u x %u -> %u classes\n", info->height, info->width, info->channels, info->n_classes);
        printf("  values       %llu, the largest %.6g; a key must be made with a --clip of at least that\n",
               (unsigned long long)info->n_values, (double)largest);
        if (extra.recipe != NULL) {
            printf("  recipe       ");
            if (extra.recipe_name != NULL) {
                cli_print_safely(stdout, extra.recipe_name);
                printf(", ");
            }
            printf("%s\n", extra.recipe);
        }
    }
    msfl_model_extra_clear(&extra);
    msfl_floats_free(weights);
    msfl_model_free(model);
    return status;
}
