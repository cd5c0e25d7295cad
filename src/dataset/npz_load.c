/* Data sets in .npz files: MedMNIST's layout, and plain x and y. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/npz_index.h"

#include <string.h>

typedef struct load {
    msfl_dataset *set;
    const msfl_dataset_options *options;
    msfl_npz_index ix;
    bool *broken;
} load;

/* The pictures of all arrays are of one size; sets the size of the data set. */
static msfl_status describe_images(load *l) {
    uint32_t height = 0, width = 0, channels = 0;
    for (size_t i = 0; i < l->ix.n_arrays; i++) {
        msfl_npz_images *a = &l->ix.arrays[i];
        const char *name = msfl_npz_name(l->ix.npz, a->index);
        msfl_status status = msfl_npz_describe(l->ix.npz, a->index, &a->npy);
        if (status != MSFL_OK) return status;
        uint32_t h, w, c;
        status = msfl_npz_picture(name, a->npy, &h, &w, &c);
        if (status != MSFL_OK) return msfl_fail_in(status, "%s", l->set->source);
        if (i > 0 && (h != height || w != width || c != channels)) {
            return msfl_npz_index_fail(&l->ix, "the images of its parts differ in size");
        }
        height = h;
        width = w;
        channels = c;
        a->first = l->ix.n;
        a->n = (uint32_t)a->npy->dims[0];
        l->ix.n += a->n;
    }
    msfl_dataset_info *info = &l->set->info;
    info->height = l->options->height != 0 ? l->options->height : height;
    info->width = l->options->width != 0 ? l->options->width : width;
    info->channels = l->options->channels != 0 ? l->options->channels : channels == 4 ? 3 : channels;
    return MSFL_OK;
}

static msfl_status skip_broken(load *l) {
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < l->ix.n && status == MSFL_OK; i++) {
        const char *name = msfl_texts_get(&l->set->names, i);
        if (msfl_texts_get(&l->ix.labels, i)[0] == 0) {
            status = msfl_fail(MSFL_ERR_DATA, "%s: no value for '%s'", name, l->ix.label_key);
        } else if (l->broken[i]) {
            status = msfl_fail(MSFL_ERR_DATA, "%s: a value that is not a finite number", name);
        } else {
            continue;
        }
        l->broken[i] = true;
        status = msfl_set_skip(l->set, l->options, NULL, status);
    }
    return status;
}

static msfl_status read_pixels(load *l) {
    msfl_dataset *set = l->set;
    msfl_pixel_map map;
    msfl_status status =
        msfl_npz_pixel_map(l->ix.npz, l->ix.arrays, l->ix.n_arrays, l->options->observer, &map, &set->conversion);
    if (status != MSFL_OK) return status;
    set->info.bits = map.bits;
    status = msfl_set_allocate(set, l->ix.n);
    if (status != MSFL_OK) return status;
    l->broken = msfl_alloc(l->ix.n, sizeof *l->broken);
    if (l->broken == NULL) return MSFL_ERR_MEMORY;
    msfl_pool *pool;
    status = msfl_pool_new(l->options->n_threads, &pool);
    if (status != MSFL_OK) return status;
    msfl_progress progress;
    msfl_progress_init(&progress, l->options->observer, "reading arrays", l->ix.n);
    for (size_t i = 0; i < l->ix.n_arrays && status == MSFL_OK; i++) {
        const msfl_npz_images *a = &l->ix.arrays[i];
        for (uint32_t j = 0; j < a->n && status == MSFL_OK; j++) {
            uint32_t channels = a->npy->n_dims == 4 ? (uint32_t)a->npy->dims[3] : 1;
            set->origins[a->first + j] = (msfl_origin){(uint32_t)a->npy->dims[2],
                                                       (uint32_t)a->npy->dims[1],
                                                       channels,
                                                       8 * a->npy->item_bytes,
                                                       a->part,
                                                       "array"};
            status = msfl_texts_add_format(&set->names, "%.100s[%u]", msfl_npz_name(l->ix.npz, a->index), j);
        }
        if (status == MSFL_OK) status = msfl_npz_pixels(set, l->ix.npz, a, &map, pool, &progress, l->broken);
    }
    msfl_progress_clear(&progress);
    msfl_pool_free(pool);
    return status;
}

/* Put the names of labels.csv in place of "0", "1", ... when each number has exactly one of them and the other way
 * round; otherwise the table speaks of other labels. */
static msfl_status name_classes(load *l) {
    msfl_dataset *set = l->set;
    if (l->ix.classes.n != set->info.n_images) return MSFL_OK;
    uint32_t n_classes = set->info.n_classes, n_names = 0;
    int64_t number;
    for (uint32_t i = 0; i < n_classes; i++) {
        if (!msfl_whole_number(msfl_texts_get(&set->class_names, i), &number)) return MSFL_OK;
    }
    msfl_texts names = {0}, renamed = {0};
    uint32_t *codes = msfl_alloc(l->ix.classes.n, sizeof *codes);
    uint32_t *name_of = msfl_alloc(n_classes, sizeof *name_of);
    msfl_status status = MSFL_ERR_MEMORY;
    if (codes == NULL || name_of == NULL) goto done;
    status = msfl_texts_code(&l->ix.classes, MSFL_CODE_KEYS, codes, &names, &n_names);
    if (status != MSFL_OK || n_names != n_classes || names.n != n_classes) goto done;
    for (uint32_t i = 0; i < n_classes; i++)
        name_of[i] = UINT32_MAX;
    for (uint32_t i = 0; i < set->info.n_images; i++) {
        uint32_t *name = &name_of[set->labels[i]];
        if (*name == UINT32_MAX) *name = codes[i];
        if (*name != codes[i]) goto done;
    }
    for (uint32_t i = 0; i < n_classes && status == MSFL_OK; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (name_of[i] == name_of[j]) goto done;
        }
        const char *name = msfl_texts_get(&names, name_of[i]);
        status = msfl_texts_add(&renamed, name, strlen(name));
    }
    if (status != MSFL_OK) goto done;
    msfl_texts_clear(&set->class_names);
    set->class_names = renamed;
    renamed = (msfl_texts){0};
done:
    msfl_texts_clear(&names);
    msfl_texts_clear(&renamed);
    msfl_free(codes);
    msfl_free(name_of);
    return status;
}

static msfl_status read_masks(load *l) {
    if (l->ix.has_masks && l->ix.n_arrays > 1) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: masks of pictures go with the arrays x and y, not with train_images", l->set->source);
    }
    return l->ix.has_masks ? msfl_npz_masks(l->set, l->ix.npz, l->ix.mask_arrays[0], &l->ix.arrays[0]) : MSFL_OK;
}

msfl_status msfl_set_load_npz(msfl_dataset *set, const msfl_dataset_options *options) {
    load l = {.set = set, .options = options, .ix = {.source = set->source, .options = options}};
    msfl_status status = msfl_npz_index_open(&l.ix, NULL);
    if (status != MSFL_OK) goto done;
    set->info.kind = l.ix.kind;
    status = describe_images(&l);
    if (status == MSFL_OK) status = read_masks(&l);
    if (status == MSFL_OK) status = msfl_npz_index_texts(&l.ix, set);
    if (status == MSFL_OK) status = read_pixels(&l);
    if (status == MSFL_OK) status = skip_broken(&l);
    if (status != MSFL_OK) goto done;
    msfl_texts *lists[] = {&l.ix.labels, &l.ix.keys, &l.ix.classes};
    status = msfl_set_compact(set, l.broken, lists, 3);
    if (status != MSFL_OK) goto done;
    status = msfl_set_finish(set, &l.ix.labels, &l.ix.keys, l.ix.label_key, l.ix.group_key);
    l.ix.label_key = l.ix.group_key = NULL;
    if (status == MSFL_OK) status = name_classes(&l);
done:
    msfl_npz_index_clear(&l.ix);
    msfl_free(l.broken);
    return status;
}
