/* Whether there is anything to do: what a set came of, and what is there now. */
#include "import/job.h"

#include "base/file.h"
#include "base/mem.h"
#include "import/memo.h"

#include <string.h>

/* Keyed: it stands in the manifest. */
msfl_status msfl_import_inputs(const msfl_import_job *job, char hex[2 * MSFL_HASH_BYTES + 1]) {
    uint8_t *key = msfl_secret_alloc(MSFL_AEAD_KEY_BYTES), out[MSFL_HASH_BYTES];
    if (key == NULL) return MSFL_NO_MEMORY;
    const msfl_items *items = &job->items;
    msfl_status status = MSFL_OK;
    msfl_hash h;
    msfl_hospital_derive(job->key, "inputs", key);
    msfl_hash_init_keyed(&h, key, "msfl.import.inputs.v1");
    msfl_hash_add(&h, job->recipe.hash, sizeof job->recipe.hash);
    msfl_hash_add_u64(&h, job->o->seal);
    msfl_hash_add_u64(&h, job->o->allow_burned_in);
    msfl_hash_add_u64(&h, job->o->seed);
    msfl_hash_add_u64(&h, items->n);
    bool in_arrays = job->dataset != NULL || job->arrays != NULL;
    if (in_arrays && job->o->masks != NULL) msfl_hash_add_field(&h, job->o->masks, strlen(job->o->masks));
    for (size_t i = 0; i < items->paths.n && status == MSFL_OK; i++) {
        char *path = msfl_paths_get(&items->paths, i);
        status = path == NULL ? MSFL_NO_MEMORY : msfl_memo_look(path, &h);
        msfl_free(path);
    }
    if (status == MSFL_OK && in_arrays && msfl_file_exists(job->o->data)) {
        status = msfl_memo_look(job->o->data, &h);
    }
    for (size_t i = 0; i < items->n && status == MSFL_OK; i++) {
        const msfl_item *item = &items->list[i];
        const char *label = msfl_items_label(items, item);
        msfl_hash_add_field(&h, label, strlen(label));
        msfl_hash_add(&h, msfl_items_patient(items, item), MSFL_HASH_BYTES);
        msfl_hash_add_u64(&h, (uint64_t)item->part << 32 | item->mask);
        if (job->arrays != NULL) msfl_hash_add_u64(&h, item->first);
        for (uint32_t k = 0; k < item->n; k++)
            msfl_hash_add_u64(&h, items->files[item->first + k]);
    }
    msfl_hash_add_field(&h, items->label_key, strlen(items->label_key));
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
    msfl_secret_free(key);
    msfl_hex(out, sizeof out, hex);
    return status;
}

json_t *msfl_import_unchanged(const msfl_import_job *job, const char *inputs) {
    json_t *there = NULL;
    if (!msfl_store_is_set(job->o->out) || msfl_store_manifest(job->o->out, &there) != MSFL_OK) return NULL;
    const char *was = json_string_value(json_object_get(there, "inputs"));
    if (was != NULL && strcmp(was, inputs) == 0 && msfl_store_is_there(job->o->out, there)) return there;
    json_decref(there);
    return NULL;
}
