/* Imported sets as data sets: their pages are used as they lie on the disk. */
#include "base/error.h"
#include "base/mem.h"
#include "dataset/set.h"
#include "dataset/store.h"
#include "image/image.h"

#include <string.h>
#include <sys/mman.h>

bool msfl_dataset_is_imported(const char *path) {
    return msfl_store_is_set(path);
}

typedef struct load {
    msfl_dataset *set;
    const msfl_dataset_options *options;
    json_t *manifest;
    msfl_hospital *key;
    msfl_store_shape shape;
    size_t n;
} load;

/* Another size or number of channels was asked for: the pictures are made anew, in memory. */
static msfl_status refit(const load *l, const uint8_t *pixels) {
    msfl_dataset *set = l->set;
    size_t bytes = (size_t)l->shape.width * l->shape.height * l->shape.channels * (l->shape.bits / 8);
    msfl_image picture = {
        .width = l->shape.width, .height = l->shape.height, .channels = l->shape.channels, .bits = l->shape.bits};
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < l->n && status == MSFL_OK; i++) {
        picture.samples = (void *)(pixels + i * bytes); /* only read */
        status = msfl_image_fit(&picture, set->info.width, set->info.height, set->info.channels, l->shape.bits,
                                msfl_set_samples(set, i));
    }
    return status;
}

static msfl_status take_pixels(load *l) {
    msfl_dataset *set = l->set;
    msfl_dataset_info *info = &set->info;
    const msfl_dataset_options *o = l->options;
    info->width = o->width != 0 ? o->width : l->shape.width;
    info->height = o->height != 0 ? o->height : l->shape.height;
    info->channels = o->channels != 0 ? o->channels : l->shape.channels;
    info->bits = l->shape.bits;
    info->depth = l->shape.depth;
    info->shown = l->shape.shown;
    bool colours = l->shape.shown == 0 && (l->shape.channels == 1 || l->shape.channels == 3) &&
                   (info->channels == 1 || info->channels == 3);
    if (info->channels != l->shape.channels && !colours) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s has %u channels, and %u were asked for", set->source, l->shape.channels,
                         info->channels);
    }
    bool as_is =
        info->width == l->shape.width && info->height == l->shape.height && info->channels == l->shape.channels;
    if (!as_is && info->depth > 1) {
        return msfl_fail(
            MSFL_ERR_MISMATCH,
            "%s holds volumes of %u x %u x %u voxels and %u channels, and others were asked for; volumes are "
            "brought to a size by a recipe",
            set->source, l->shape.depth, l->shape.height, l->shape.width, l->shape.channels);
    }
    void *pixels = NULL;
    bool mapped = false;
    size_t bytes = l->n * l->shape.depth * l->shape.width * l->shape.height * l->shape.channels * (l->shape.bits / 8);
    msfl_status status = msfl_store_pixels(set->source, l->manifest, l->key, &pixels, &mapped);
    if (status != MSFL_OK) return status;
    status = msfl_set_allocate(set, as_is ? 0 : l->n);
    if (status == MSFL_OK && as_is) {
        msfl_free(set->samples);
        msfl_free(set->labels);
        msfl_free(set->groups);
        msfl_free(set->origins);
        set->samples = pixels;
        set->mapped_bytes = mapped ? bytes : 0;
        set->labels = msfl_alloc(l->n, sizeof *set->labels);
        set->groups = msfl_alloc(l->n, sizeof *set->groups);
        set->origins = msfl_alloc(l->n, sizeof *set->origins);
        set->info.n_images = (uint32_t)l->n;
        return set->labels == NULL || set->groups == NULL || set->origins == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    }
    if (status == MSFL_OK) status = refit(l, pixels);
    if (mapped) {
        munmap(pixels, bytes);
    } else {
        msfl_free(pixels);
    }
    return status;
}

static msfl_status take_masks(load *l) {
    msfl_dataset *set = l->set;
    if (!l->shape.has_masks || set->info.width != l->shape.width || set->info.height != l->shape.height) return MSFL_OK;
    bool mapped = false;
    msfl_status status = msfl_store_masks(set->source, l->manifest, l->key, &set->masks, &mapped);
    if (status != MSFL_OK) return status;
    set->info.has_masks = true;
    if (mapped) set->masks_mapped_bytes = l->n * l->shape.depth * l->shape.width * l->shape.height;
    return MSFL_OK;
}

/* Volumes in their own sizes: brought to another size, their spacing would be another. */
static msfl_status take_places(load *l, const msfl_record *records) {
    msfl_dataset *set = l->set;
    if (set->info.width != l->shape.width || set->info.height != l->shape.height) return MSFL_OK;
    memcpy(set->info.spacing, l->shape.spacing, sizeof set->info.spacing);
    set->places = msfl_alloc(l->n, sizeof *set->places);
    if (set->places == NULL) return MSFL_NO_MEMORY;
    for (size_t i = 0; i < l->n; i++)
        set->places[i] = (msfl_place){records[i].volume, records[i].slice};
    return MSFL_OK;
}

static msfl_status take_texts(load *l, const msfl_record *records, msfl_texts *labels, msfl_texts *keys) {
    msfl_dataset *set = l->set;
    const json_t *classes = json_object_get(l->manifest, "classes");
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < l->n && status == MSFL_OK; i++) {
        const char *name = json_string_value(json_array_get(classes, records[i].label));
        set->origins[i] = (msfl_origin){
            l->shape.width, l->shape.height, l->shape.channels, l->shape.bits, (msfl_part)records[i].part, "imported"};
        status = msfl_texts_add(labels, name, strlen(name));
        if (status == MSFL_OK) status = msfl_texts_add_format(keys, "%u", records[i].bunch);
        if (status == MSFL_OK) status = msfl_texts_add_format(&set->names, "picture %zu", i);
    }
    return status;
}

static char *text_of(const json_t *manifest, const char *key) {
    const char *text = json_string_value(json_object_get(manifest, key));
    return text == NULL ? NULL : msfl_strdup(text);
}

msfl_status msfl_set_load_store(msfl_dataset *set, const msfl_dataset_options *options) {
    load l = {.set = set, .options = options};
    msfl_record *records = NULL;
    msfl_texts labels = {0}, keys = {0};
    if (options->label != NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "%s is imported: its labels were chosen then, and --label chooses no others",
                         set->source);
    }
    msfl_status status = msfl_store_manifest(set->source, &l.manifest);
    if (status == MSFL_OK && options->key != NULL) status = msfl_hospital_read(options->key, &l.key);
    if (status != MSFL_OK) goto done;
    l.shape = msfl_store_shape_of(l.manifest);
    status = msfl_store_records(set->source, l.manifest, l.key, &records, &l.n);
    if (status != MSFL_OK) goto done;
    if (l.n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: no images", set->source);
        goto done;
    }
    status = take_pixels(&l);
    if (status == MSFL_OK) status = take_masks(&l);
    if (status == MSFL_OK) status = take_places(&l, records);
    if (status == MSFL_OK) status = take_texts(&l, records, &labels, &keys);
    if (status != MSFL_OK) goto done;
    set->info.kind = "imported";
    set->low = l.shape.low;
    set->high = l.shape.high;
    set->recipe = text_of(l.manifest, "recipe_hash");
    set->info.recipe = set->recipe;
    set->recipe_name = text_of(l.manifest, "name");
    set->info.recipe_name = set->recipe_name;
    set->info.laterality = msfl_laterality_of(json_string_value(json_object_get(l.manifest, "laterality")));
    if (set->info.laterality == MSFL_LATERALITY_UNSAID) set->info.laterality = MSFL_LATERALITY_MATTERS;
    char *label_key = text_of(l.manifest, "label_key");
    status = msfl_set_finish(set, &labels, &keys, label_key != NULL ? label_key : msfl_strdup("the import"),
                             text_of(l.manifest, "patient_key"));
done:
    msfl_free(records);
    msfl_texts_clear(&labels);
    msfl_texts_clear(&keys);
    msfl_hospital_free(l.key);
    json_decref(l.manifest);
    return status;
}
