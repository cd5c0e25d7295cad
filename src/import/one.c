/* One sample, from its files or from the cache. */
#include "import/job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/decode.h"
#include "image/fault.h"
#include "import/memo.h"

#include <math.h>
#include <string.h>

static const uint8_t nobody[MSFL_HASH_BYTES];

/* What the files of one sample said. */
typedef struct raw {
    msfl_sample sample;
    msfl_facts facts;
    uint8_t patient[MSFL_HASH_BYTES]; /* by the first header that names one; zeros: none */
    bool ends;                        /* what failed concerns the whole import, not this sample */
} raw;

static void note_facts(const msfl_import_job *job, const msfl_image *image, const msfl_image_facts *facts, raw *r) {
    r->facts = (msfl_facts){.width = image->width,
                            .height = image->height,
                            .depth = image->depth,
                            .channels = image->channels,
                            .bits = image->bits_stored,
                            .format = (uint32_t)facts->format};
    memcpy(r->facts.spacing, image->spacing, sizeof r->facts.spacing);
    if (facts->format != MSFL_FORMAT_DICOM || memcmp(facts->dicom.scanner, nobody, sizeof nobody) == 0) return;
    uint8_t keyed[MSFL_PSEUDONYM_BYTES];
    msfl_hospital_pseudonym(job->key, facts->dicom.scanner, keyed);
    memcpy(r->facts.scanner, keyed, sizeof r->facts.scanner);
}

/* What stands in the pixels no recipe takes out. */
static msfl_status check_burned_in(const msfl_import_job *job, const char *path, bool is_burned_in) {
    if (!is_burned_in || job->o->allow_burned_in) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY,
                     "%s: its header declares text in the pixels that identifies (BurnedInAnnotation); with "
                     "--allow-burned-in it is taken all the same",
                     path);
}

static msfl_status read_stack(const msfl_import_job *job, const msfl_item *item, raw *r) {
    char **paths = msfl_alloc(item->n, sizeof *paths);
    msfl_image image = {0}, first = {0};
    msfl_image_facts facts = {0};
    if (paths == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < item->n && status == MSFL_OK; i++) {
        paths[i] = msfl_items_path(&job->items, item, i);
        if (paths[i] == NULL) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) status = check_burned_in(job, paths[0], item->is_burned_in);
    if (status == MSFL_OK) {
        status = msfl_series_load((const char *const *)paths, msfl_items_stack_of(&job->items, item), &image);
    }
    if (status == MSFL_OK) status = msfl_image_open(paths[0], true, &facts, &first);
    if (status == MSFL_OK) {
        note_facts(job, &image, &facts, r);
        status = msfl_sample_add(&job->recipe, paths[0], &image, &r->sample);
    }
    msfl_image_clear(&first);
    msfl_image_clear(&image);
    msfl_names_free(paths, item->n);
    return status;
}

static msfl_status read_files(const msfl_import_job *job, const msfl_item *item, raw *r) {
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < item->n && status == MSFL_OK; i++) {
        char *path = msfl_items_path(&job->items, item, i);
        msfl_image image = {0};
        msfl_image_facts facts = {0};
        status = path == NULL ? MSFL_NO_MEMORY : msfl_image_open(path, false, &facts, &image);
        const bool is_dicom = facts.format == MSFL_FORMAT_DICOM;
        if (status == MSFL_OK) status = check_burned_in(job, path, is_dicom && facts.dicom.burned_in != 0);
        if (status == MSFL_OK && is_dicom && facts.dicom.is_scattered != 0 && job->recipe.volumes) {
            status =
                msfl_fault_fail(MSFL_FAULT_INCOMPLETE,
                                "%s: its frames make up no volume: some are missing, or they are several stacks, or "
                                "times at one place",
                                path);
        }
        if (status == MSFL_OK && i == 0) note_facts(job, &image, &facts, r);
        if (status == MSFL_OK) status = msfl_sample_add(&job->recipe, path, &image, &r->sample);
        bool names = status == MSFL_OK && facts.format == MSFL_FORMAT_DICOM &&
                     memcmp(facts.dicom.patient, nobody, sizeof nobody) != 0;
        if (names && memcmp(r->patient, nobody, sizeof nobody) == 0) {
            memcpy(r->patient, facts.dicom.patient, sizeof r->patient);
        } else if (names && memcmp(r->patient, facts.dicom.patient, sizeof r->patient) != 0) {
            status = msfl_fail(MSFL_ERR_DATA, "%s: another patient than in the other files of this sample", path);
        }
        msfl_image_clear(&image);
        msfl_free(path);
    }
    return status;
}

/* --- images and masks taken for one another --- */

enum { FEW_VALUES = 16, MASK_VALUES = 64 };

/* Whether an image's values are those of a mask: few different whole numbers, not all the same. An image whose values
 * are more, or no whole numbers, is none. */
static bool has_few_values(const msfl_image *image) {
    double seen[FEW_VALUES];
    size_t n = 0, count = (size_t)image->width * image->height * image->channels * msfl_image_frames(image);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        const double v = msfl_image_rescaled(image, 0, msfl_image_sample(image, i));
        while (k < n && seen[k] != v)
            k++;
        if (k < n) continue;
        if (n == FEW_VALUES || !(v >= 0 && (v < MASK_VALUES || v == 255) && v == floor(v))) return false;
        seen[n++] = v;
    }
    return n > 1;
}

static bool file_has_few_values(const char *path, bool *opens) {
    msfl_image image = {0};
    msfl_image_facts facts = {0};
    *opens = msfl_image_open(path, false, &facts, &image) == MSFL_OK;
    bool few = *opens && has_few_values(&image);
    msfl_image_clear(&image);
    return few;
}

/* Whether what was named as an item's mask is an image, and its image a mask. */
static msfl_status is_exchanged(const msfl_import_job *job, const msfl_item *item, bool *exchanged) {
    *exchanged = false;
    if (item->mask == MSFL_NO_PATH || item->stack != 0) return MSFL_OK;
    char *picture = msfl_items_path(&job->items, item, 0), *mask = msfl_items_path(&job->items, item, item->n);
    msfl_status status = picture == NULL || mask == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        bool opens;
        *exchanged = !file_has_few_values(mask, &opens) && opens && file_has_few_values(picture, &opens);
    }
    msfl_free(picture);
    msfl_free(mask);
    return status;
}

/* One such pair may be a slip of whoever named the files, and is left out like any other that cannot be used. Where
 * none before could be used, and samples in the middle and at the end are the same, the folders were exchanged: all
 * would be left out, or worse, images of whole numbers taken for masks. */
static msfl_status check_exchanged(const msfl_import_job *job, size_t number) {
    const msfl_items *items = &job->items;
    const msfl_item *item = &items->list[number];
    const msfl_item *const looked_at[] = {item, &items->list[items->n / 2], &items->list[items->n - 1]};
    bool exchanged = job->n_samples == 0;
    msfl_status status = MSFL_OK;
    for (int i = 0; i < 3 && exchanged && status == MSFL_OK; i++)
        status = is_exchanged(job, looked_at[i], &exchanged);
    if (status != MSFL_OK || !exchanged) return status;
    char *picture = msfl_items_path(items, item, 0), *mask = msfl_items_path(items, item, item->n);
    status =
        picture == NULL || mask == NULL
            ? MSFL_NO_MEMORY
            : msfl_fail(MSFL_ERR_USAGE,
                        "images and masks are exchanged: %s, named as a mask, is an image, and %s a mask; name the "
                        "images as data and the masks with --masks",
                        mask, picture);
    msfl_free(picture);
    msfl_free(mask);
    return status;
}

static msfl_status read_mask(const msfl_import_job *job, size_t number, raw *r) {
    const msfl_item *item = &job->items.list[number];
    if (item->mask == MSFL_NO_PATH) return MSFL_OK;
    char *path = msfl_items_path(&job->items, item, item->n);
    msfl_image image = {0};
    msfl_image_facts facts = {0};
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_image_open(path, false, &facts, &image);
    const bool is_odd = status == MSFL_OK && !has_few_values(&image);
    if (status == MSFL_OK) status = msfl_sample_add_mask(&job->recipe, path, &image, &r->sample);
    msfl_image_clear(&image);
    msfl_free(path);
    if (!is_odd) return status;
    char *reason = status == MSFL_OK ? NULL : msfl_strdup(msfl_error_message());
    msfl_status exchanged = check_exchanged(job, number);
    r->ends = exchanged != MSFL_OK;
    if (exchanged == MSFL_OK && reason != NULL) status = msfl_fail(status, "%s", reason);
    msfl_free(reason);
    return exchanged != MSFL_OK ? exchanged : status;
}

/* A picture of an opened data set; nothing is copied. */
static msfl_image borrow(const msfl_import_job *job, size_t number) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    return (msfl_image){.width = info->width,
                        .height = info->height,
                        .channels = info->channels,
                        .bits = info->bits,
                        .bits_stored = info->bits,
                        .samples = msfl_set_samples(job->dataset, number),
                        .colour = info->channels == 3 ? MSFL_COLOUR_RGB : MSFL_COLOUR_GREY,
                        .depth = 1,
                        .times = 1,
                        .rescale = {1, 0}};
}

static msfl_image borrow_mask(const msfl_import_job *job, size_t number) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    return (msfl_image){.width = info->width,
                        .height = info->height,
                        .channels = 1,
                        .bits = 8,
                        .bits_stored = 8,
                        /* Only read. */
                        .samples = (void *)msfl_dataset_mask(job->dataset, (uint32_t)number),
                        .depth = 1,
                        .times = 1,
                        .rescale = {1, 0}};
}

static msfl_status read_arrays(const msfl_import_job *job, size_t number, const char *name, raw *r) {
    const size_t slot = number - job->batch_first;
    const uint32_t n = msfl_arrays_n(job->arrays);
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < n && status == MSFL_OK; k++) {
        msfl_image image = {0};
        const msfl_image_facts facts = {0};
        status = msfl_arrays_image(job->arrays, slot, k, &image);
        if (status == MSFL_OK && k == 0) {
            note_facts(job, &image, &facts, r);
            r->facts.bits = msfl_arrays_bits(job->arrays, slot);
        }
        bool is_mask = k + 1 == n && msfl_arrays_has_masks(job->arrays);
        if (status == MSFL_OK && is_mask) status = msfl_sample_add_mask(&job->recipe, name, &image, &r->sample);
        if (status == MSFL_OK && !is_mask) status = msfl_sample_add(&job->recipe, name, &image, &r->sample);
        msfl_image_clear(&image);
    }
    return status;
}

/* Of an opened data set: the picture, and its mask where masks were asked for. */
static msfl_status read_picture(const msfl_import_job *job, size_t number, const char *name, raw *r) {
    const msfl_image image = borrow(job, number);
    const msfl_image_facts facts = {0};
    note_facts(job, &image, &facts, r);
    msfl_status status = msfl_sample_add(&job->recipe, name, &image, &r->sample);
    if (status != MSFL_OK || job->o->masks == NULL) return status;
    const msfl_image mask = borrow_mask(job, number);
    return msfl_sample_add_mask(&job->recipe, name, &mask, &r->sample);
}

static msfl_status read_sample(const msfl_import_job *job, size_t number, const char *name, raw *r) {
    const msfl_item *item = &job->items.list[number];
    msfl_status status;
    if (job->dataset != NULL) {
        status = read_picture(job, number, name, r);
    } else if (job->arrays != NULL) {
        status = read_arrays(job, number, name, r);
    } else {
        status = item->stack != 0 ? read_stack(job, item, r) : read_files(job, item, r);
    }
    if (status == MSFL_OK) status = read_mask(job, number, r);
    if (status == MSFL_OK) status = msfl_sample_run(&job->recipe, name, &r->sample);
    return status;
}

static msfl_status make(const msfl_import_job *job, size_t number, const char *name, msfl_result *out, bool *ends) {
    raw r = {0};
    msfl_status status = read_sample(job, number, name, &r);
    *ends = r.ends;
    if (status == MSFL_OK) status = msfl_sample_store(&job->recipe, &r.sample, &out->pictures);
    msfl_sample_clear(&r.sample);
    if (status != MSFL_OK) return status;
    out->facts = r.facts;
    if (memcmp(r.patient, nobody, sizeof nobody) != 0) {
        out->has_patient = true;
        msfl_hospital_pseudonym(job->key, r.patient, out->patient);
    }
    out->prints = msfl_alloc(out->pictures.n, sizeof *out->prints);
    if (out->prints == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < out->pictures.n; i++)
        msfl_print_of(&job->recipe, &out->pictures, i, &out->prints[i]);
    return MSFL_OK;
}

static void picture_content(const msfl_image *image, uint8_t out[MSFL_HASH_BYTES]) {
    const uint32_t shape[] = {image->width, image->height, image->channels, image->bits};
    msfl_hash h;
    msfl_hash_init(&h, "msfl.array.content");
    for (size_t k = 0; k < 4; k++)
        msfl_hash_add_u64(&h, shape[k]);
    msfl_hash_add(&h, image->samples, (size_t)msfl_image_bytes(image));
    msfl_hash_final(&h, out);
}

/* Hash of what the i-th part of a sample says: its files', pictures' or arrays', then its mask's. */
static msfl_status content_of(msfl_import_job *job, size_t number, uint32_t i, uint8_t out[MSFL_HASH_BYTES]) {
    const msfl_item *item = &job->items.list[number];
    if (job->arrays != NULL) {
        msfl_arrays_content(job->arrays, number - job->batch_first, i, out);
        return MSFL_OK;
    }
    if (job->dataset != NULL) {
        const msfl_image image = i == 0 ? borrow(job, number) : borrow_mask(job, number);
        picture_content(&image, out);
        return MSFL_OK;
    }
    char *path = msfl_items_path(&job->items, item, i);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_cache_content(job->cache, path, out);
    msfl_free(path);
    return status;
}

static msfl_status name_entry(msfl_import_job *job, size_t number, uint8_t out[MSFL_CACHE_NAME_BYTES]) {
    const msfl_item *item = &job->items.list[number];
    bool has_mask = job->dataset != NULL || job->arrays != NULL ? job->o->masks != NULL : item->mask != MSFL_NO_PATH;
    uint32_t n = job->arrays != NULL ? msfl_arrays_n(job->arrays) : (job->dataset != NULL ? 1 : item->n) + has_mask;
    uint8_t(*contents)[MSFL_HASH_BYTES] = msfl_alloc(n, sizeof *contents);
    msfl_status status = contents == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++)
        status = content_of(job, number, i, contents[i]);
    if (status == MSFL_OK) {
        msfl_cache_name(job->cache, &job->recipe, contents, n, has_mask, job->o->allow_burned_in, out);
    }
    msfl_free(contents);
    return status;
}

/* How the files of a sample look from outside. */
static msfl_status look_of(const msfl_import_job *job, const msfl_item *item, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_status status = MSFL_OK;
    msfl_hash_init(&h, "msfl.import.look");
    uint32_t n = job->dataset != NULL || job->arrays != NULL ? 0 : item->n + (item->mask != MSFL_NO_PATH);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        char *path = msfl_items_path(&job->items, item, i);
        status = path == NULL ? MSFL_NO_MEMORY : msfl_memo_look(path, &h);
        msfl_free(path);
    }
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
    return status;
}

/* The cache's entry is named by bytes that were read before: what was decoded must have been the same ones, or a later
 * import that meets the old bytes would be given the new picture. */
static msfl_status check_unchanged(const msfl_import_job *job, const msfl_item *item, const char *name,
                                   const uint8_t before[MSFL_HASH_BYTES]) {
    uint8_t after[MSFL_HASH_BYTES];
    msfl_status status = look_of(job, item, after);
    if (status != MSFL_OK || memcmp(before, after, sizeof after) == 0) return status;
    return msfl_fail(MSFL_ERR_DATA, "%s: a file of this sample changed while it was read", name);
}

/* A sample that cannot be used is noted; what concerns the whole import is handed on. */
static msfl_status note(msfl_outcome *out, msfl_status status) {
    if (status == MSFL_OK || status == MSFL_ERR_MEMORY || status == MSFL_ERR_CANCELLED) return status;
    msfl_result_clear(&out->result);
    out->status = status;
    out->reason = msfl_strdup(msfl_error_message());
    return out->reason == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

/* What a sample is called in messages; NULL when out of memory. */
static char *name_of(const msfl_import_job *job, size_t number) {
    const msfl_item *item = &job->items.list[number];
    if (job->arrays != NULL) return msfl_format("volume %u", item->first);
    if (job->dataset != NULL) return msfl_format("picture %zu", number);
    return msfl_items_path(&job->items, item, 0);
}

static msfl_status make_and_keep(msfl_import_job *job, size_t number, const uint8_t entry[MSFL_CACHE_NAME_BYTES],
                                 const uint8_t look[MSFL_HASH_BYTES], msfl_outcome *out) {
    char *name = name_of(job, number);
    if (name == NULL) return MSFL_NO_MEMORY;
    bool ends;
    msfl_status status = make(job, number, name, &out->result, &ends);
    if (status == MSFL_OK) status = check_unchanged(job, &job->items.list[number], name, look);
    if (!ends) status = note(out, status);
    msfl_free(name);
    if (status != MSFL_OK || out->status != MSFL_OK) return status;
    return msfl_cache_put(job->cache, &job->recipe, entry, &out->result);
}

msfl_status msfl_import_sample(msfl_import_job *job, size_t number, msfl_outcome *out) {
    const msfl_item *item = &job->items.list[number];
    uint8_t entry[MSFL_CACHE_NAME_BYTES], look[MSFL_HASH_BYTES];
    msfl_status status = look_of(job, item, look);
    if (status == MSFL_OK) status = name_entry(job, number, entry);
    if (status != MSFL_OK) return note(out, status);
    status = msfl_cache_get(job->cache, &job->recipe, entry, &out->from_cache, &out->result);
    if (status == MSFL_OK && !out->from_cache) status = make_and_keep(job, number, entry, look, out);
    if (status != MSFL_OK || out->status != MSFL_OK) return status;
    /* The table goes before the header; without either a sample stands alone. */
    if (item->patient != 0) {
        msfl_hospital_pseudonym(job->key, msfl_items_patient(&job->items, item), out->result.patient);
        out->result.has_patient = false;
    } else if (!out->result.has_patient) {
        memcpy(out->result.patient, entry, MSFL_PSEUDONYM_BYTES);
    }
    return MSFL_OK;
}
