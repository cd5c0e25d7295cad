/* data import: from files to a set. */
#include "import/job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "import/memo.h"

#include <math.h>
#include <stdio.h>
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

static msfl_status find_in_arrays(msfl_import_job *job) {
    const msfl_import_options *o = job->o;
    const msfl_items_options i = {.data = o->data,
                                  .labels = o->labels,
                                  .label = o->label,
                                  .patient = o->patient,
                                  .masks = o->masks,
                                  .observer = o->observer};
    return msfl_arrays_open(&i, &job->recipe, &job->arrays, &job->items);
}

/* Pictures of an array or drawings: already read, one sample each. */
static msfl_status find_in_dataset(msfl_import_job *job) {
    const msfl_import_options *o = job->o;
    if (job->recipe.n_sequences > 0) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: pictures of an array are of one sequence, and the recipe names %u",
                         o->data, job->recipe.n_sequences);
    }
    const msfl_dataset_options d = {.label = o->label,
                                    .labels = o->labels,
                                    .patient = o->patient,
                                    .masks = o->masks,
                                    .normalise = MSFL_NORMALISE_NONE,
                                    .seed = o->seed,
                                    .n_threads = o->n_threads,
                                    .refuse_bad = o->refuse_bad,
                                    .observer = o->observer};
    msfl_status status = msfl_dataset_open(o->data, &d, &job->dataset);
    if (status != MSFL_OK) return status;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    if (info->depth > 1) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s is a set of volumes, and a set is not imported again", o->data);
    }
    msfl_items *items = &job->items;
    bool is_array = strncmp(info->kind, "npz", 3) == 0;
    if (job->recipe.volumes || (!is_array && (o->masks != NULL || o->labels != NULL || o->patient != NULL))) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s: drawings go with a recipe of 'input: picture', without --labels, --patient "
                         "and --masks",
                         o->data);
    }
    if (!job->recipe.display && info->conversion != NULL) {
        return msfl_fail(MSFL_ERR_DATA, "%s: values as measured are not at hand: %s", o->data, info->conversion);
    }
    items->list = msfl_alloc(info->n_images, sizeof *items->list);
    if (items->list == NULL) return MSFL_NO_MEMORY;
    items->n = items->capacity = info->n_images;
    for (uint32_t i = 0; i < info->n_images && status == MSFL_OK; i++) {
        const char *label = msfl_dataset_class_name(job->dataset, msfl_dataset_label(job->dataset, i));
        char group[32];
        items->list[i] = (msfl_item){.mask = MSFL_NO_PATH, .part = msfl_dataset_origin(job->dataset, i).part};
        snprintf(group, sizeof group, "group %u", msfl_dataset_group(job->dataset, i));
        if (info->group_key != NULL) msfl_patient_hash(group, items->list[i].patient);
        status = msfl_texts_add(&items->labels, label, strlen(label));
    }
    job->n_skipped = info->n_skipped; /* told by the one who read them */
    items->n_ignored = info->n_ignored;
    items->label_key = msfl_strdup(info->label_key);
    items->patient_key = info->group_key == NULL ? NULL : msfl_strdup(info->group_key);
    return status == MSFL_OK && items->label_key == NULL ? MSFL_NO_MEMORY : status;
}

static msfl_status find_in_folder(msfl_import_job *job) {
    const msfl_import_options *o = job->o;
    char *data = msfl_path_absolute(o->data), *masks = NULL;
    bool has_masks = o->masks != NULL && msfl_is_folder(o->masks);
    if (has_masks) masks = msfl_path_absolute(o->masks);
    if (data == NULL || (has_masks && masks == NULL)) {
        msfl_free(data);
        msfl_free(masks);
        return MSFL_NO_MEMORY; /* the folders are there */
    }
    const msfl_items_options i = {.data = data,
                                  .labels = o->labels,
                                  .label = o->label,
                                  .patient = o->patient,
                                  .masks = masks != NULL ? masks : o->masks,
                                  .refuse_bad = o->refuse_bad,
                                  .observer = o->observer};
    msfl_status status = msfl_items_find(&i, &job->recipe, &job->items);
    msfl_free(data);
    msfl_free(masks);
    return status;
}

static msfl_status find(msfl_import_job *job) {
    const char *data = job->o->data;
    if (msfl_is_folder(data)) return find_in_folder(job);
    return job->recipe.volumes && msfl_file_exists(data) ? find_in_arrays(job) : find_in_dataset(job);
}

/* What everything depends on, as far as a look from outside can tell. Keyed: it stands in the manifest. */
static msfl_status fingerprint(const msfl_import_job *job, char hex[2 * MSFL_HASH_BYTES + 1]) {
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
    for (size_t i = 0; i < items->paths.n && status == MSFL_OK; i++)
        status = msfl_memo_look(msfl_texts_get(&items->paths, i), &h);
    if (status == MSFL_OK && in_arrays && msfl_file_exists(job->o->data)) {
        status = msfl_memo_look(job->o->data, &h);
    }
    for (size_t i = 0; i < items->n && status == MSFL_OK; i++) {
        const msfl_item *item = &items->list[i];
        const char *label = msfl_texts_get(&items->labels, i);
        msfl_hash_add_field(&h, label, strlen(label));
        msfl_hash_add(&h, item->patient, sizeof item->patient);
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

/* The manifest of the set that is there, if it came of the same. */
static json_t *unchanged(const msfl_import_job *job, const char *inputs) {
    json_t *there = NULL;
    if (!msfl_store_is_set(job->o->out) || msfl_store_manifest(job->o->out, &there) != MSFL_OK) return NULL;
    const char *was = json_string_value(json_object_get(there, "inputs"));
    if (was != NULL && strcmp(was, inputs) == 0 && msfl_store_is_there(job->o->out, there)) return there;
    json_decref(there);
    return NULL;
}

/* --- batch after batch --- */

/* The bunch of the patient with this pseudonym; a new one if need be. `n` is the number of the next picture. */
static uint32_t bunch_of(msfl_import_job *job, const uint8_t patient[MSFL_PSEUDONYM_BYTES]) {
    size_t at = (size_t)msfl_load64(patient) & (job->n_slots - 1);
    for (; job->slots[at] != 0; at = (at + 1) & (job->n_slots - 1)) {
        const msfl_record *r = &job->records[job->slots[at] - 1];
        if (memcmp(r->patient, patient, MSFL_PSEUDONYM_BYTES) == 0) return r->bunch;
    }
    job->slots[at] = (uint32_t)job->n + 1;
    return job->n_bunches++;
}

static msfl_status make_room(msfl_import_job *job, size_t more) {
    if (job->n + more > MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "more than %d pictures; at most that many make a set", MSFL_IMAGES_MAX);
    }
    void *records = job->records, *prints = job->prints, *sample_of = job->sample_of;
    msfl_status status = msfl_grow(&records, &job->records_capacity, job->n + more, sizeof *job->records);
    job->records = records;
    if (status == MSFL_OK) status = msfl_grow(&prints, &job->prints_capacity, job->n + more, sizeof *job->prints);
    job->prints = prints;
    if (status == MSFL_OK) {
        status = msfl_grow(&sample_of, &job->sample_of_capacity, job->n + more, sizeof *job->sample_of);
    }
    job->sample_of = sample_of;
    return status;
}

/* One spacing for the set, or none. */
static void note_spacing(msfl_import_job *job, const msfl_pictures *p) {
    bool same = p->slices != NULL;
    for (int i = 0; i < 3; i++)
        same &= p->spacing[i] > 0 && (job->n_samples == 0 || fabs(p->spacing[i] / job->spacing[i] - 1) < 1e-3);
    for (int i = 0; i < 3 && (job->n_samples == 0 || !same); i++)
        job->spacing[i] = same ? p->spacing[i] : 0;
}

static msfl_status take(msfl_import_job *job, size_t item_number, const msfl_outcome *o) {
    const msfl_item *item = &job->items.list[item_number];
    const msfl_pictures *p = &o->result.pictures;
    msfl_status status = make_room(job, p->n);
    if (status == MSFL_OK) status = msfl_store_add(job->store, p->samples, p->masks, p->n);
    if (status != MSFL_OK) return status;
    note_spacing(job, p);
    uint32_t bunch = bunch_of(job, o->result.patient);
    for (uint32_t i = 0; i < p->n; i++) {
        msfl_record *r = &job->records[job->n];
        *r = (msfl_record){.bunch = bunch, .part = (uint8_t)item->part};
        memcpy(r->patient, o->result.patient, sizeof r->patient);
        if (p->slices != NULL) {
            r->volume = (uint32_t)job->n_samples + 1;
            r->slice = (uint16_t)(p->slices[i] < UINT16_MAX ? p->slices[i] : UINT16_MAX); /* sides are far below */
        }
        job->prints[job->n] = o->result.prints[i];
        job->sample_of[job->n++] = (uint32_t)job->n_samples;
    }
    job->facts[job->n_samples] = o->result.facts;
    job->item_of[job->n_samples++] = (uint32_t)item_number;
    job->n_clipped += p->n_clipped;
    job->n_from_cache += o->from_cache;
    job->some_by_header |= o->result.has_patient;
    return MSFL_OK;
}

static msfl_status skip(msfl_import_job *job, const msfl_outcome *o) {
    enum { TOLD_MAX = 1000 };
    if (job->o->refuse_bad) {
        msfl_status status = msfl_fail(o->status, "%s", o->reason);
        return msfl_fail_in(status, "a broken image, and broken images are to be refused");
    }
    if (job->n_skipped++ < TOLD_MAX) {
        msfl_observe_text(job->o->observer, MSFL_EVENT_WARNING, "data", "skipped: %s", o->reason);
    }
    return MSFL_OK;
}

static msfl_status process(void *ctx, size_t i) {
    msfl_import_job *job = ctx;
    msfl_status status = msfl_progress_step(&job->progress, 1);
    return status != MSFL_OK ? status : msfl_import_sample(job, job->batch_first + i, &job->outcomes[i]);
}

static void outcome_clear(msfl_outcome *o) {
    msfl_result_clear(&o->result);
    msfl_free(o->reason);
    *o = (msfl_outcome){0};
}

/* Memory holds one batch: that is what bounds it, however many files there are. */
static msfl_status run_batches(msfl_import_job *job) {
    enum { PICTURES = 64, VOLUMES = 4 }; /* for each thread */
    size_t most = (size_t)(job->recipe.volumes ? VOLUMES : PICTURES) * msfl_pool_threads(job->pool), n = job->items.n;
    if (job->arrays != NULL) {
        msfl_status status = msfl_arrays_room(job->arrays, &most);
        if (status != MSFL_OK) return status;
    }
    job->outcomes = msfl_alloc(most, sizeof *job->outcomes);
    job->facts = msfl_alloc(n, sizeof *job->facts);
    job->item_of = msfl_alloc(n, sizeof *job->item_of);
    for (job->n_slots = 16; job->n_slots < 2 * n;)
        job->n_slots *= 2;
    job->slots = msfl_alloc(job->n_slots, sizeof *job->slots);
    if (job->outcomes == NULL || job->facts == NULL || job->item_of == NULL || job->slots == NULL)
        return MSFL_NO_MEMORY;
    msfl_progress_init(&job->progress, job->o->observer, "importing", n);
    msfl_status status = MSFL_OK;
    for (; job->batch_first < n && status == MSFL_OK; job->batch_first += most) {
        size_t batch = n - job->batch_first < most ? n - job->batch_first : most;
        if (job->arrays != NULL) {
            status = msfl_arrays_hold(job->arrays, job->items.list + job->batch_first, batch);
        }
        if (status == MSFL_OK) status = msfl_pool_run(job->pool, batch, process, job);
        for (size_t i = 0; i < batch; i++) {
            msfl_outcome *o = &job->outcomes[i];
            if (status == MSFL_OK) status = o->status != MSFL_OK ? skip(job, o) : take(job, job->batch_first + i, o);
            outcome_clear(o);
        }
    }
    msfl_progress_clear(&job->progress);
    if (status == MSFL_OK && job->arrays != NULL) status = msfl_arrays_end(job->arrays);
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
    if (status == MSFL_OK) status = msfl_store_finish(job->store, job->records, job->n, &classes, manifest);
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
    msfl_free(job->records);
    msfl_free(job->prints);
    msfl_free(job->sample_of);
    msfl_free(job->facts);
    msfl_free(job->item_of);
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
    if (status == MSFL_OK) status = find(&job);
    if (status == MSFL_OK) status = fingerprint(&job, inputs);
    if (status == MSFL_OK) status = msfl_folder_make(o->out);
    if (status == MSFL_OK) status = msfl_file_lock(o->out, &lock);
    if (status != MSFL_OK) goto done;
    manifest = unchanged(&job, inputs);
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
    if (status == MSFL_OK) status = run_batches(&job);
    if (status == MSFL_OK) status = finish(&job, inputs, manifest);
    if (status == MSFL_OK) status = answer(manifest, false, job.n_from_cache, json);
done:
    msfl_file_unlock(lock);
    json_decref(manifest);
    job_clear(&job);
    msfl_free(own);
    return status;
}
