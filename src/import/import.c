/* data import: from files to a set. */
#include "import/job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"

#include <string.h>

msfl_status msfl_hospital_key_new(const char *path) {
    return msfl_hospital_make(path);
}

static char *text_of(msfl_buffer *b) {
    char *text = b->status == MSFL_OK ? msfl_strndup((const char *)b->bytes, b->length) : NULL;
    msfl_buffer_clear(b);
    return text;
}

/* The recipe's part of a manifest. */
static msfl_status put_recipe(const msfl_recipe *r, json_t *out, const char *text_key, const char *hash_key) {
    msfl_buffer b = {0};
    char hash[2 * MSFL_HASH_BYTES + 1];
    msfl_recipe_text(r, &b);
    char *text = text_of(&b);
    if (text == NULL) return MSFL_NO_MEMORY;
    msfl_hex(r->hash, sizeof r->hash, hash);
    int failed = json_object_set_new(out, text_key, json_string(text));
    failed |= json_object_set_new(out, hash_key, json_string(hash));
    failed |= json_object_set_new(out, "laterality", json_string(msfl_mirrored_words[r->mirrored]));
    failed |= json_object_set_new(out, "name", msfl_json_string(r->name[0] != 0 ? r->name : NULL));
    msfl_free(text);
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : MSFL_OK;
}

msfl_status msfl_recipe_describe(const char *path, char **json) {
    *json = NULL;
    msfl_recipe r;
    msfl_status status = msfl_recipe_read(path, &r);
    if (status != MSFL_OK) return status;
    json_t *out = json_pack("{s:i, s:i, s:i, s:i, s:[f, f]}", "width", (int)r.width, "height", (int)r.height,
                            "channels", (int)r.channels, "bits", (int)r.bits, "range", r.low, r.high);
    if (out != NULL && r.depth > 1) json_object_set_new(out, "depth", json_integer(r.depth));
    status = out == NULL ? MSFL_NO_MEMORY : put_recipe(&r, out, "text", "hash");
    if (status == MSFL_OK) status = msfl_json_text(out, false, json);
    json_decref(out);
    return status;
}

/* --- opening --- */

static msfl_status open_key(msfl_import_job *job, const char *cache) {
    const msfl_import_options *o = job->o;
    if (o->key != NULL) return msfl_hospital_read(o->key, &job->key);
    if (o->seal || cache == NULL) {
        return msfl_fail(
            MSFL_ERR_POLICY,
            "%s needs a key of the hospital's own: make one with 'medsecurefl data key FILE', keep it away "
            "from the data, and name it with --key",
            o->seal ? "sealing" : "an import that keeps nothing");
    }
    char *path = msfl_path_join(cache, "hospital.key");
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK && !msfl_file_exists(path)) {
        status = msfl_hospital_make(path);
        if (status == MSFL_OK) {
            msfl_observe_text(o->observer, MSFL_EVENT_INFO, "data",
                              "pseudonyms hang on the new key %s; with --key they hang on one of your own", path);
        }
    }
    if (status == MSFL_OK && path != NULL) status = msfl_hospital_read(path, &job->key);
    msfl_free(path);
    return status;
}

static msfl_status finish(msfl_import_job *job, const char *inputs, json_t *manifest) {
    msfl_texts classes = {0};
    msfl_status status = MSFL_OK;
    if (job->n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: none of %zu samples can be used", job->o->data, job->items.n);
    }
    if (status == MSFL_OK) status = put_recipe(&job->recipe, manifest, "recipe", "recipe_hash");
    if (status == MSFL_OK) status = msfl_import_conclude(job, &classes, manifest);
    if (status == MSFL_OK && json_object_set_new(manifest, "inputs", json_string(inputs)) != 0) status = MSFL_NO_MEMORY;
    if (status == MSFL_OK) status = msfl_store_finish(job->store, &classes, manifest);
    msfl_texts_clear(&classes);
    return status;
}

static void job_clear(msfl_import_job *job) {
    msfl_store_free(job->store);
    msfl_cache_close(job->cache);
    msfl_hospital_free(job->key);
    msfl_pool_free(job->pool);
    msfl_items_clear(&job->items);
    msfl_dataset_free(job->dataset);
    msfl_arrays_free(job->arrays);
    msfl_free(job->outcomes);
    msfl_spill_free(job->pictures);
    msfl_spill_free(job->samples);
    msfl_prints_free(job->prints);
    msfl_rows_clear(&job->patients);
    msfl_free(job->slots);
}

static msfl_status begin_store(msfl_import_job *job) {
    const msfl_recipe *r = &job->recipe;
    const msfl_store_shape shape = {.depth = r->depth,
                                    .width = r->width,
                                    .height = r->height,
                                    .channels = r->channels,
                                    .bits = r->bits,
                                    .low = r->low,
                                    .high = r->high,
                                    .has_masks = job->o->masks != NULL,
                                    .shown = r->rgb || r->channels == 1 ? 0 : 1 + r->neighbours};
    return msfl_store_new(job->o->out, &shape, job->o->seal ? job->key : NULL, &job->store);
}

static msfl_status answer(json_t *manifest, bool same, uint32_t from_cache, char **json) {
    if (json == NULL) return MSFL_OK;
    int failed = json_object_set_new(manifest, "unchanged", json_boolean(same));
    failed |= json_object_set_new(manifest, "from_cache", json_integer(from_cache));
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : msfl_json_text(manifest, false, json);
}

msfl_status msfl_import(const msfl_import_options *o, char **json) {
    if (json != NULL) *json = NULL;
    if (o->data == NULL || o->recipe == NULL || o->out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "an import needs data, a recipe, and a folder for the set");
    }
    msfl_import_job job = {.o = o};
    char inputs[2 * MSFL_HASH_BYTES + 1], *own = NULL;
    json_t *manifest = NULL;
    int lock = -1;
    const char *cache = o->no_cache ? NULL : o->cache;
    msfl_status status = msfl_recipe_read(o->recipe, &job.recipe);
    if (status == MSFL_OK && !o->no_cache && cache == NULL) {
        size_t n = strlen(o->out);
        while (n > 1 && o->out[n - 1] == '/')
            n--;
        own = msfl_format("%.*s.cache", (int)n, o->out);
        if (own == NULL) status = MSFL_NO_MEMORY;
        cache = own;
    }
    if (status == MSFL_OK && cache != NULL) status = msfl_cache_prepare(cache);
    if (status == MSFL_OK) status = open_key(&job, cache);
    if (status == MSFL_OK) status = msfl_pool_new(o->n_threads, &job.pool);
    if (status == MSFL_OK) status = msfl_import_find(&job);
    if (status == MSFL_OK) status = msfl_import_inputs(&job, inputs);
    if (status == MSFL_OK) status = msfl_folder_make(o->out);
    if (status == MSFL_OK) status = msfl_file_lock(o->out, &lock);
    if (status != MSFL_OK) goto done;
    manifest = msfl_import_unchanged(&job, inputs);
    if (manifest != NULL) {
        status = answer(manifest, true, 0, json);
        goto done;
    }
    manifest = json_object();
    if (manifest == NULL) status = MSFL_NO_MEMORY;
    if (status == MSFL_OK) status = msfl_cache_open(cache, job.key, o->seal, &job.cache);
    if (status == MSFL_OK && job.recipe.volumes && job.recipe.n_sequences == 0 && job.arrays == NULL) {
        status = msfl_items_stack(&job.items, job.pool, o->observer);
    }
    if (status == MSFL_OK) status = begin_store(&job);
    if (status == MSFL_OK) status = msfl_import_run(&job);
    if (status == MSFL_OK) status = finish(&job, inputs, manifest);
    if (status == MSFL_OK) status = answer(manifest, false, job.n_from_cache, json);
done:
    msfl_file_unlock(lock);
    json_decref(manifest);
    job_clear(&job);
    msfl_free(own);
    return status;
}
