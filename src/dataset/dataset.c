/* Opening a data set, and what can be asked about it. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "dataset/set.h"
#include "dataset/store.h"
#include "image/image.h"

#include <string.h>
#include <sys/mman.h>

/* An imported set may have other channels, and a model of them asks for as many: msfl_set_load_store compares. */
static msfl_status check_options(const msfl_dataset_options *o, bool imported) {
    if (o->channels != 0 && o->channels != 1 && o->channels != 3 && !imported) {
        return msfl_fail(MSFL_ERR_USAGE, "%u channels were asked for; 1 (grey) and 3 (RGB) are possible", o->channels);
    }
    if ((o->width == 0) != (o->height == 0)) {
        return msfl_fail(MSFL_ERR_USAGE, "width and height must be given together");
    }
    if (o->width > MSFL_IMAGE_SIDE_MAX || o->height > MSFL_IMAGE_SIDE_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u x %u pixels were asked for; at most %d a side are possible", o->width,
                         o->height, MSFL_IMAGE_SIDE_MAX);
    }
    if ((unsigned)o->normalise > MSFL_NORMALISE_NONE) {
        return msfl_fail(MSFL_ERR_USAGE, "unknown normalisation %d", (int)o->normalise);
    }
    return MSFL_OK;
}

msfl_status msfl_dataset_open(const char *path, const msfl_dataset_options *options, msfl_dataset **out) {
    *out = NULL;
    static const msfl_dataset_options defaults = {0};
    if (options == NULL) options = &defaults;
    if (path == NULL || path[0] == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "no data: give a folder, a .npz file, or 'phantom'");
    }
    msfl_status status = check_options(options, msfl_store_is_set(path));
    if (status == MSFL_OK) status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_dataset *set = msfl_alloc(1, sizeof *set);
    if (set == NULL) return MSFL_ERR_MEMORY;
    set->normalise = options->normalise;
    set->source = msfl_strdup(path);
    if (set->source == NULL) {
        status = MSFL_ERR_MEMORY;
    } else if (strcmp(path, "phantom") == 0) {
        status = msfl_set_load_phantom(set, options);
    } else if (msfl_store_is_set(path)) {
        status = msfl_set_load_store(set, options);
    } else if (msfl_is_folder(path)) {
        status = msfl_set_load_folder(set, options);
    } else if (msfl_file_exists(path)) {
        status = msfl_set_load_npz(set, options);
    } else {
        status = msfl_fail(MSFL_ERR_MISSING,
                           "%s: there is no such folder or file; 'phantom' draws synthetic images instead", path);
    }
    if (status != MSFL_OK) {
        msfl_dataset_free(set);
        return status;
    }
    *out = set;
    return MSFL_OK;
}

void msfl_dataset_free(msfl_dataset *set) {
    if (set == NULL) return;
    if (set->mapped_bytes > 0) {
        munmap(set->samples, set->mapped_bytes);
    } else {
        msfl_free(set->samples);
    }
    if (set->masks_mapped_bytes > 0) {
        munmap(set->masks, set->masks_mapped_bytes);
    } else {
        msfl_free(set->masks);
    }
    msfl_free(set->labels);
    msfl_free(set->groups);
    msfl_free(set->origins);
    msfl_free(set->places);
    msfl_texts_clear(&set->names);
    msfl_texts_clear(&set->class_names);
    msfl_texts_clear(&set->skipped);
    msfl_texts_clear(&set->reasons);
    msfl_free(set->source);
    msfl_free(set->group_key);
    msfl_free(set->label_key);
    msfl_free(set->conversion);
    msfl_free(set->recipe);
    msfl_free(set->recipe_name);
    msfl_free(set);
}

const msfl_dataset_info *msfl_dataset_info_borrow(const msfl_dataset *set) {
    return &set->info;
}

const char *msfl_dataset_class_name(const msfl_dataset *set, uint32_t class_index) {
    return class_index < set->info.n_classes ? msfl_texts_get(&set->class_names, class_index) : NULL;
}

uint32_t msfl_dataset_label(const msfl_dataset *set, uint32_t image) {
    return set->labels[image];
}

uint32_t msfl_dataset_group(const msfl_dataset *set, uint32_t image) {
    return set->groups[image];
}

const uint8_t *msfl_dataset_mask(const msfl_dataset *set, uint32_t image) {
    if (set->masks == NULL) return NULL;
    return (const uint8_t *)set->masks + image * msfl_set_pixels(set);
}

uint32_t msfl_dataset_mask_classes(const msfl_dataset *set) {
    if (set->masks == NULL) return 0;
    const uint8_t *masks = set->masks;
    uint8_t most = 0;
    for (size_t i = 0; i < set->info.n_images * msfl_set_pixels(set); i++)
        most = masks[i] > most ? masks[i] : most;
    return (uint32_t)most + 1;
}

msfl_place msfl_dataset_place(const msfl_dataset *set, uint32_t image) {
    return set->places != NULL ? set->places[image] : (msfl_place){0};
}

const char *msfl_dataset_image_name(const msfl_dataset *set, uint32_t image) {
    return msfl_texts_get(&set->names, image);
}

const char *msfl_dataset_skip_reason(const msfl_dataset *set, uint32_t i) {
    return i < set->reasons.n ? msfl_texts_get(&set->reasons, i) : NULL;
}

const char *msfl_dataset_skipped(const msfl_dataset *set, uint32_t i) {
    return i < set->skipped.n ? msfl_texts_get(&set->skipped, i) : NULL;
}

msfl_origin msfl_dataset_origin(const msfl_dataset *set, uint32_t image) {
    return set->origins[image];
}

const msfl_intensity *msfl_dataset_intensity_borrow(const msfl_dataset *set) {
    return &set->intensity;
}

void msfl_indices_clear(msfl_indices *list) {
    msfl_free(list->at);
    *list = (msfl_indices){0};
}

void msfl_split_clear(msfl_split *split) {
    msfl_indices_clear(&split->train);
    msfl_indices_clear(&split->validation);
    msfl_indices_clear(&split->test);
    split->how = NULL;
}
