#include "import/arrays_private.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { SPACING_BYTES_MAX = 1 << 26 };

void msfl_arrays_free(msfl_arrays *a) {
    if (a == NULL) return;
    for (uint32_t s = 0; s < a->n_streams; s++) {
        msfl_zip_entry_close(a->streams[s].entry);
        msfl_free(a->streams[s].held);
    }
    msfl_npz_index_clear(&a->ix);
    msfl_free(a->spacing);
    msfl_free(a->number);
    msfl_free(a->part_of);
    msfl_free(a);
}

/* --- what the arrays are --- */

static msfl_status check_volumes(const msfl_arrays *a, const char *name, const msfl_npy *npy) {
    char shape[200];
    const char *file = a->ix.source;
    msfl_npy_shape_text(npy, shape);
    if (npy->kind == 'S' || npy->kind == 'U') {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: array '%s' holds text, not volumes", file, name);
    }
    if (npy->n_dims == 3) {
        return msfl_fail(
            MSFL_ERR_UNSUPPORTED,
            "%s: array '%s' has shape %s, which is one of pictures; a recipe of 'input: picture' takes them", file,
            name, shape);
    }
    if (npy->n_dims == 5 && npy->dims[4] != 1) {
        return msfl_fail(
            MSFL_ERR_UNSUPPORTED,
            "%s: array '%s' has shape %s, several channels; store each as an array of its own and name them "
            "in the recipe (sequences: [a, b])",
            file, name, shape);
    }
    if (npy->n_dims != 4 && npy->n_dims != 5) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: array '%s' has shape %s; volumes are expected as volumes x columns x rows x slices", file,
                         name, shape);
    }
    if (npy->n_items == 0) return msfl_fail(MSFL_ERR_DATA, "%s: array '%s' of shape %s is empty", file, name, shape);
    if (npy->fortran && npy->n_items > 1) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: array '%s' is stored in Fortran order, in which no volume lies in one piece; store it as "
                         "numpy.ascontiguousarray(x)",
                         file, name);
    }
    uint64_t items = 1;
    for (int i = 1; i <= 3; i++) {
        if (npy->dims[i] > MSFL_IMAGE_SIDE_MAX || items > MSFL_VOLUME_BYTES_MAX / sizeof(float) / npy->dims[i]) {
            return msfl_fail(MSFL_ERR_LIMIT, "%s: array '%s' of shape %s: a volume has sides of up to %d and %llu MiB",
                             file, name, shape, MSFL_IMAGE_SIDE_MAX, (unsigned long long)(MSFL_VOLUME_BYTES_MAX >> 20));
        }
        items *= npy->dims[i];
    }
    if (npy->dims[0] > MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: array '%s' of shape %s: at most %d volumes are accepted", file, name,
                         shape, MSFL_IMAGES_MAX);
    }
    return MSFL_OK;
}

/* The same volumes as those that came first. */
static msfl_status check_alike(const msfl_arrays *a, const char *name, const msfl_npy *npy, uint64_t n) {
    char shape[200];
    bool alike = npy->dims[0] == n;
    for (int i = 0; i < 3; i++)
        alike &= npy->dims[i + 1] == a->sides[i];
    if (alike) return MSFL_OK;
    msfl_npy_shape_text(npy, shape);
    return msfl_fail(MSFL_ERR_DATA, "%s: array '%s' has shape %s; wanted are %llu volumes of %u x %u x %u as in '%s'",
                     a->ix.source, name, shape, (unsigned long long)n, a->sides[0], a->sides[1], a->sides[2],
                     msfl_npz_name(a->ix.npz, a->ix.arrays[0].index));
}

static msfl_status add_part(msfl_arrays *a, uint32_t s, size_t part, size_t index) {
    arrays_stream *st = &a->streams[s];
    const char *name = msfl_npz_name(a->ix.npz, index);
    const msfl_npy *npy;
    msfl_status status = msfl_npz_describe(a->ix.npz, index, &npy);
    if (status == MSFL_OK) status = check_volumes(a, name, npy);
    if (status != MSFL_OK) return status;
    if (s == 0 && part == 0) {
        for (int i = 0; i < 3; i++)
            a->sides[i] = (uint32_t)npy->dims[i + 1];
    }
    status = check_alike(a, name, npy, s == 0 ? npy->dims[0] : a->ix.arrays[part].n);
    if (status != MSFL_OK) return status;
    st->index[part] = index;
    st->npy[part] = npy;
    size_t bytes = (size_t)(npy->data_bytes / npy->dims[0]);
    if (bytes > st->bytes) st->bytes = bytes;
    return MSFL_OK;
}

static msfl_status describe(msfl_arrays *a, const msfl_recipe *recipe) {
    msfl_npz_index *ix = &a->ix;
    msfl_status status = MSFL_OK;
    a->n_streams = 1;
    for (size_t p = 0; p < ix->n_arrays && status == MSFL_OK; p++) {
        status = add_part(a, 0, p, ix->arrays[p].index);
        if (status != MSFL_OK) return status;
        ix->arrays[p].npy = a->streams[0].npy[p];
        ix->arrays[p].first = ix->n;
        ix->arrays[p].n = (uint32_t)ix->arrays[p].npy->dims[0]; /* at most MSFL_IMAGES_MAX, three times */
        ix->n += ix->arrays[p].n;
    }
    for (uint32_t s = 1; s < recipe->n_sequences && status == MSFL_OK; s++) {
        size_t index;
        if (!msfl_npz_find(ix->npz, recipe->sequences[s], &index)) {
            char what[160];
            snprintf(what, sizeof what, "no array '%s', which is a sequence of the recipe", recipe->sequences[s]);
            return msfl_npz_index_fail(ix, what);
        }
        status = add_part(a, a->n_streams++, 0, index);
    }
    a->has_masks = ix->options->masks != NULL;
    if (a->has_masks) a->n_streams++;
    for (size_t p = 0; a->has_masks && p < ix->n_arrays && status == MSFL_OK; p++)
        status = add_part(a, a->n_streams - 1, p, ix->mask_arrays[p]);
    return status;
}

/* --- how they lie --- */

int msfl_arrays_world_axis(char letter) {
    static const char *const pairs[3] = {"RL", "AP", "SI"};
    for (int i = 0; i < 3 && letter != 0; i++)
        if (strchr(pairs[i], letter) != NULL) return i;
    return -1;
}

static msfl_status read_axes(msfl_arrays *a, bool *said) {
    size_t index;
    *said = msfl_npz_find(a->ix.npz, "axes", &index);
    memcpy(a->axes, "RAS", 4);
    if (!*said) return MSFL_OK;
    const msfl_npy *npy;
    uint8_t *bytes = NULL;
    char text[MSFL_NPY_TEXT_BYTES] = "";
    msfl_status status = msfl_npz_describe(a->ix.npz, index, &npy);
    if (status != MSFL_OK) return status;
    if (npy->n_items == 1 && (npy->kind == 'U' || npy->kind == 'S')) {
        status = msfl_npz_data(a->ix.npz, index, MSFL_NPY_TEXT_BYTES, &bytes);
        if (status != MSFL_OK) return status;
        msfl_npy_text(npy, bytes, text);
        msfl_free(bytes);
    }
    bool seen[3] = {false, false, false}, good = strlen(text) == 3;
    for (int i = 0; i < 3 && good; i++) {
        int w = msfl_arrays_world_axis(text[i]);
        good = w >= 0 && !seen[w];
        if (good) seen[w] = true;
    }
    if (!good) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%s: array 'axes' is one text of three letters, one each of R or L, A or P, S or I: the sides "
                         "that the axes of a volume run to, as RAS",
                         a->ix.source);
    }
    memcpy(a->axes, text, 4);
    return MSFL_OK;
}

static msfl_status read_spacing(msfl_arrays *a, bool *said) {
    size_t index;
    *said = msfl_npz_find(a->ix.npz, "spacing", &index);
    const msfl_npy *npy = NULL;
    msfl_status status = *said ? msfl_npz_describe(a->ix.npz, index, &npy) : MSFL_OK;
    if (status != MSFL_OK) return status;
    bool text = *said && (npy->kind == 'U' || npy->kind == 'S');
    bool one = *said && npy->n_dims == 1 && npy->dims[0] == 3;
    bool each = *said && npy->n_dims == 2 && npy->dims[0] == a->ix.n && npy->dims[1] == 3 && !npy->fortran;
    if (*said && (text || !(one || each))) {
        char shape[200];
        return msfl_fail(MSFL_ERR_DATA, "%s: array 'spacing' has shape %s; it is 3 numbers, or %u x 3 for %u volumes",
                         a->ix.source, msfl_npy_shape_text(npy, shape), a->ix.n, a->ix.n);
    }
    a->n_spacing = each ? a->ix.n : 1;
    a->spacing = msfl_alloc(a->n_spacing, sizeof *a->spacing);
    if (a->spacing == NULL) return MSFL_NO_MEMORY;
    uint8_t *bytes = NULL;
    if (*said) status = msfl_npz_data(a->ix.npz, index, SPACING_BYTES_MAX, &bytes);
    for (size_t i = 0; i < 3 * a->n_spacing && status == MSFL_OK; i++) {
        double mm = *said ? msfl_npy_number(npy, bytes + i * npy->item_bytes) : 1;
        a->spacing[i / 3][i % 3] = mm;
        if (!(mm >= 1e-3 && mm <= 1e3)) {
            status = msfl_fail(MSFL_ERR_DATA, "%s: array 'spacing' holds %g; mm between values are 0.001 to 1000",
                               a->ix.source, mm);
        }
    }
    msfl_free(bytes);
    return status;
}

static msfl_status read_place(msfl_arrays *a) {
    bool axes = false, spacing = false;
    msfl_status status = read_axes(a, &axes);
    if (status == MSFL_OK) status = read_spacing(a, &spacing);
    if (status != MSFL_OK) return status;
    a->assumed = !axes && !spacing
                     ? "the file does not say how its volumes lie: their axes are taken to run to the right, "
                       "the front and the top (RAS), values to be 1 mm apart; if that is wrong, add arrays "
                       "'axes' and 'spacing'"
                 : !axes    ? "the file does not say how its volumes lie: their axes are taken to run to the right, "
                              "the front and the top (RAS); if that is wrong, add an array 'axes'"
                 : !spacing ? "the file does not say how far apart values lie: it is taken for 1 mm; if that is "
                              "wrong, add an array 'spacing'"
                            : NULL;
    return MSFL_OK;
}

/* --- items --- */

static msfl_status make_items(msfl_arrays *a, msfl_items *items) {
    msfl_npz_index *ix = &a->ix;
    msfl_status status = msfl_items_reserve(items, ix->n);
    uint32_t part = 0;
    for (uint32_t i = 0; i < ix->n && status == MSFL_OK; i++) {
        const char *label = msfl_texts_get(&ix->labels, i), *key = msfl_texts_get(&ix->keys, i);
        while (i - ix->arrays[part].first >= ix->arrays[part].n)
            part++;
        if (msfl_labels_is_blank(label)) {
            items->n_unlabelled++;
            continue;
        }
        msfl_item item = {.first = i, .mask = MSFL_NO_PATH, .part = (uint8_t)ix->arrays[part].part};
        uint8_t patient[MSFL_HASH_BYTES] = {0};
        if (!msfl_labels_is_blank(key)) msfl_patient_hash(key, patient);
        status = msfl_items_add(items, &item, label, patient);
    }
    items->label_key = ix->label_key;
    items->patient_key = ix->group_key;
    ix->label_key = ix->group_key = NULL;
    if (status == MSFL_OK && items->n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: none of %u volumes has a label", ix->source, ix->n);
    }
    return status;
}

msfl_status msfl_arrays_open(const msfl_items_options *options, const msfl_recipe *recipe, msfl_arrays **out,
                             msfl_items *items) {
    *out = NULL;
    msfl_arrays *a = msfl_alloc(1, sizeof *a);
    if (a == NULL) return MSFL_NO_MEMORY;
    a->options = (msfl_dataset_options){.label = options->label,
                                        .labels = options->labels,
                                        .patient = options->patient,
                                        .masks = options->masks,
                                        .observer = options->observer};
    a->ix = (msfl_npz_index){.source = options->data, .options = &a->options};
    msfl_items made = {0};
    msfl_status status = msfl_npz_index_open(&a->ix, recipe->n_sequences > 0 ? recipe->sequences[0] : NULL);
    if (status == MSFL_OK) status = describe(a, recipe);
    if (status == MSFL_OK) status = read_place(a);
    if (status == MSFL_OK) status = msfl_npz_index_texts(&a->ix, NULL);
    if (status == MSFL_OK) status = msfl_npz_index_names(&a->ix);
    if (status == MSFL_OK) status = make_items(a, &made);
    if (status != MSFL_OK) {
        msfl_items_clear(&made);
        msfl_arrays_free(a);
        return status;
    }
    *items = made;
    *out = a;
    return MSFL_OK;
}
