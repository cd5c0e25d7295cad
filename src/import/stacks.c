/* DICOM slices to volumes, by what their headers say. */
#include "import/items.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/set.h"
#include "image/decode.h"
#include "image/fault.h"

#include <string.h>

/* What is known of one item's file. */
typedef struct header {
    bool is_slice, is_bad;
    msfl_slice slice;
    uint8_t patient[MSFL_HASH_BYTES];
} header;

typedef struct job {
    msfl_items *items;
    header *headers;
    msfl_progress progress;
} job;

static const char *path_of(const msfl_items *items, size_t i) {
    return msfl_texts_get(&items->paths, items->files[items->list[i].first]);
}

static msfl_status read_header(void *ctx, size_t i) {
    job *j = ctx;
    header *h = &j->headers[i];
    msfl_status status = msfl_progress_step(&j->progress, 1);
    const char *path = path_of(j->items, i);
    if (status != MSFL_OK || !msfl_image_is_dicom_file(path)) return status;
    msfl_image_facts facts = {0};
    msfl_image image = {0};
    status = msfl_image_open(path, true, &facts, &image);
    if (status == MSFL_OK) {
        h->is_slice = msfl_slice_of(&facts.dicom, &image, &h->slice);
        memcpy(h->patient, facts.dicom.patient, sizeof h->patient);
    } else if (status != MSFL_ERR_MEMORY) {
        h->is_bad = true; /* reported when it is opened for its pixels */
        status = MSFL_OK;
    }
    msfl_image_clear(&image);
    return status;
}

static bool same_mask(const msfl_items *in, uint32_t a, uint32_t b) {
    if (a == MSFL_NO_PATH || b == MSFL_NO_PATH) return a == b;
    return strcmp(msfl_texts_get(&in->paths, a), msfl_texts_get(&in->paths, b)) == 0;
}

/* One item for a stack; its parts must agree in label, part and mask. */
static msfl_status join(const job *j, const msfl_series *s, const msfl_stack *stack, const uint32_t *numbers,
                        const msfl_observer *observer, msfl_items *out, bool *taken) {
    const msfl_items *in = j->items;
    uint32_t first = numbers[s->order[stack->first]];
    msfl_item item = in->list[first];
    item.first = (uint32_t)out->n_files;
    item.n = (uint32_t)stack->n;
    item.is_stack = stack->n > 1;
    item.stack = *stack;
    *taken = false;
    const char *label = msfl_texts_get(&in->labels, first), *why = NULL;
    for (size_t k = 0; k < stack->n; k++) {
        uint32_t number = numbers[s->order[stack->first + k]];
        if (strcmp(msfl_texts_get(&in->labels, number), label) != 0 || in->list[number].part != item.part) {
            why = "its slices have different labels or lie in different parts";
        }
        if (memcmp(j->headers[number].patient, j->headers[first].patient, MSFL_HASH_BYTES) != 0) {
            why = "its slices name different patients";
        }
        /* The first slice's would lie at its place in space, and leave all others empty. */
        if (!same_mask(in, in->list[number].mask, item.mask)) {
            why = "its slices have masks of their own, and a volume takes one, in a file that all of them name";
        }
    }
    if (stack->n_gaps > 0) why = "slices are missing";
    if (why != NULL) {
        msfl_observe_text(observer, MSFL_EVENT_WARNING, "data", "left out: the volume of %s: %s", path_of(in, first),
                          why);
        return MSFL_OK;
    }
    static const uint8_t nobody[MSFL_HASH_BYTES] = {0};
    if (memcmp(item.patient, nobody, sizeof nobody) == 0) {
        memcpy(item.patient, j->headers[first].patient, sizeof item.patient);
    }
    void *files = out->files;
    msfl_status status = msfl_grow(&files, &out->files_capacity, out->n_files + stack->n, sizeof *out->files);
    out->files = files;
    if (status != MSFL_OK) return status;
    for (size_t k = 0; k < stack->n; k++)
        out->files[out->n_files++] = in->files[in->list[numbers[s->order[stack->first + k]]].first];
    out->list[out->n++] = item;
    *taken = true;
    return msfl_texts_add(&out->labels, label, strlen(label));
}

static msfl_status keep(const msfl_items *in, size_t i, msfl_items *out) {
    msfl_item item = in->list[i];
    uint32_t file = in->files[item.first];
    item.first = (uint32_t)out->n_files;
    void *files = out->files;
    msfl_status status = msfl_grow(&files, &out->files_capacity, out->n_files + 1, sizeof *out->files);
    out->files = files;
    if (status != MSFL_OK) return status;
    out->files[out->n_files++] = file;
    out->list[out->n++] = item;
    const char *label = msfl_texts_get(&in->labels, i);
    return msfl_texts_add(&out->labels, label, strlen(label));
}

/* The new list takes the place of the old one. */
static void replace(msfl_items *items, msfl_items *by) {
    msfl_free(items->files);
    msfl_free(items->list);
    msfl_texts_clear(&items->labels);
    items->files = by->files;
    items->n_files = by->n_files;
    items->files_capacity = by->files_capacity;
    items->list = by->list;
    items->n = by->n;
    items->capacity = by->capacity;
    items->labels = by->labels;
    *by = (msfl_items){0};
}

msfl_status msfl_items_stack(msfl_items *items, msfl_pool *pool, const msfl_observer *observer) {
    job j = {.items = items};
    msfl_items out = {0};
    msfl_series series = {0};
    size_t n_slices = 0;
    j.headers = msfl_alloc(items->n, sizeof *j.headers);
    msfl_slice *slices = msfl_alloc(items->n, sizeof *slices);
    uint32_t *numbers = msfl_alloc(items->n, sizeof *numbers);
    out.list = msfl_alloc(items->n, sizeof *out.list);
    out.capacity = items->n;
    msfl_status status = MSFL_NO_MEMORY;
    if (j.headers == NULL || slices == NULL || numbers == NULL || out.list == NULL) goto done;
    msfl_progress_init(&j.progress, observer, "reading headers", items->n);
    status = msfl_pool_run(pool, items->n, read_header, &j);
    msfl_progress_clear(&j.progress);
    if (status != MSFL_OK) goto done;
    for (size_t i = 0; i < items->n; i++) {
        if (!j.headers[i].is_slice) continue;
        slices[n_slices] = j.headers[i].slice;
        numbers[n_slices++] = (uint32_t)i;
    }
    if (n_slices == 0) goto done;
    status = msfl_series_sort(slices, n_slices, &series);
    for (size_t i = 0; i < series.n_stacks && status == MSFL_OK; i++) {
        bool taken;
        status = join(&j, &series, &series.stacks[i], numbers, observer, &out, &taken);
        items->n_incomplete += !taken;
    }
    for (size_t i = 0; i < items->n && status == MSFL_OK; i++)
        if (!j.headers[i].is_slice) status = keep(items, i, &out);
    if (status == MSFL_OK) replace(items, &out);
    if (status == MSFL_OK && items->n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "none of the series makes a whole volume");
    }
done:
    msfl_series_clear(&series);
    msfl_items_clear(&out);
    msfl_free(j.headers);
    msfl_free(slices);
    msfl_free(numbers);
    return status;
}
