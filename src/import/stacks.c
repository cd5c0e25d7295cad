/* DICOM slices to volumes, by what their headers say. */
#include "import/items.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/set.h"
#include "image/decode.h"
#include "image/fault.h"

#include <string.h>

typedef struct job {
    msfl_items *items;
    /* By item; slices are moved together before they are sorted. */
    msfl_slice *slices;
    bool *is_slice, *is_burned_in;
    uint8_t (*patients)[MSFL_HASH_BYTES];
    msfl_progress progress;
} job;

static msfl_status read_header(void *ctx, size_t i) {
    job *j = ctx;
    msfl_status status = msfl_progress_step(&j->progress, 1);
    if (status != MSFL_OK) return status;
    char *path = msfl_items_path(j->items, &j->items->list[i], 0);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_image_facts facts = {0};
    msfl_image image = {0};
    bool is_dicom = msfl_image_is_dicom_file(path);
    if (is_dicom) status = msfl_image_open(path, true, &facts, &image);
    msfl_free(path);
    if (!is_dicom) return MSFL_OK;
    if (status == MSFL_OK) {
        j->is_slice[i] = msfl_slice_of(&facts.dicom, &image, &j->slices[i]);
        memcpy(j->patients[i], facts.dicom.patient, sizeof j->patients[i]);
        j->is_burned_in[i] = facts.dicom.burned_in != 0;
    } else if (status != MSFL_ERR_MEMORY) {
        status = MSFL_OK; /* a bad one is reported when it is opened for its pixels */
    }
    msfl_image_clear(&image);
    return status;
}

static msfl_status same_mask(const msfl_items *in, uint32_t a, uint32_t b, bool *same) {
    *same = a == b;
    if (*same || a == MSFL_NO_PATH || b == MSFL_NO_PATH) return MSFL_OK;
    char *x = msfl_paths_get(&in->paths, a), *y = msfl_paths_get(&in->paths, b);
    if (x != NULL && y != NULL) *same = strcmp(x, y) == 0;
    msfl_status status = x == NULL || y == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    msfl_free(x);
    msfl_free(y);
    return status;
}

/* Why the slices of a stack, of which `first` is one, are no volume; NULL: they are. */
static msfl_status judge(const job *j, const msfl_series *s, const msfl_stack *stack, const uint32_t *numbers,
                         uint32_t first, const char **why) {
    const msfl_items *in = j->items;
    msfl_status status = MSFL_OK;
    *why = msfl_stack_fault(stack);
    for (size_t k = 0; k < stack->n && status == MSFL_OK; k++) {
        uint32_t number = numbers[s->order[stack->first + k]];
        if (in->list[number].label != in->list[first].label || in->list[number].part != in->list[first].part) {
            *why = "its slices have different labels or lie in different parts";
        }
        if (memcmp(j->patients[number], j->patients[first], MSFL_HASH_BYTES) != 0 ||
            memcmp(msfl_items_patient(in, &in->list[number]), msfl_items_patient(in, &in->list[first]),
                   MSFL_HASH_BYTES) != 0) {
            *why = "its slices are of different patients";
        }
        /* The first slice's would lie at its place in space, and leave all others empty. */
        bool same = true;
        status = same_mask(in, in->list[number].mask, in->list[first].mask, &same);
        if (!same) *why = "its slices have masks of their own, and a volume takes one, in a file that all of them name";
    }
    return status;
}

static msfl_status tell(const msfl_items *in, uint32_t first, const char *why, const msfl_observer *observer) {
    char *path = msfl_items_path(in, &in->list[first], 0);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_observe_text(observer, MSFL_EVENT_WARNING, "data", "left out: the volume of %s: %s", path, why);
    msfl_free(path);
    return MSFL_OK;
}

/* One item for a stack; its parts must agree in label, part and mask. */
static msfl_status join(const job *j, const msfl_series *s, const msfl_stack *stack, const uint32_t *numbers,
                        const msfl_observer *observer, msfl_items *out, bool *taken) {
    const msfl_items *in = j->items;
    const uint32_t first = numbers[s->order[stack->first]];
    const char *why;
    *taken = false;
    msfl_status status = judge(j, s, stack, numbers, first, &why);
    if (status != MSFL_OK || why != NULL) return status != MSFL_OK ? status : tell(in, first, why, observer);
    msfl_item item = in->list[first];
    const uint8_t *patient = item.patient != 0 ? msfl_items_patient(in, &item) : j->patients[first];
    item.first = (uint32_t)out->n_files;
    item.n = (uint32_t)stack->n;
    if (stack->n > 1) {
        msfl_stack *row = msfl_rows_add(&out->stacks, sizeof *row);
        if (row == NULL) return MSFL_NO_MEMORY;
        *row = *stack;
        item.stack = (uint32_t)out->stacks.n;
    }
    for (size_t k = 0; k < stack->n; k++) {
        const uint32_t number = numbers[s->order[stack->first + k]];
        out->files[out->n_files++] = in->files[in->list[number].first];
        item.is_burned_in |= j->is_burned_in[number];
    }
    *taken = true;
    return msfl_items_add(out, &item, msfl_items_label(in, &in->list[first]), patient);
}

static msfl_status keep(const msfl_items *in, size_t i, msfl_items *out) {
    msfl_item item = in->list[i];
    out->files[out->n_files] = in->files[item.first];
    item.first = (uint32_t)out->n_files++;
    return msfl_items_add(out, &item, msfl_items_label(in, &in->list[i]), msfl_items_patient(in, &in->list[i]));
}

/* The new list takes the place of the old one, and the old one's place is cleared with `by`. */
static void replace(msfl_items *items, msfl_items *by) {
    const msfl_items was = *items;
    items->files = by->files;
    items->n_files = by->n_files;
    items->files_capacity = by->files_capacity;
    items->list = by->list;
    items->n = by->n;
    items->capacity = by->capacity;
    items->labels = by->labels;
    items->patients = by->patients;
    items->stacks = by->stacks;
    *by = (msfl_items){
        .files = was.files, .list = was.list, .labels = was.labels, .patients = was.patients, .stacks = was.stacks};
}

/* Slices to the front, and of which item each is. */
static size_t move_together(job *j, uint32_t *numbers) {
    size_t n = 0;
    for (size_t i = 0; i < j->items->n; i++) {
        if (!j->is_slice[i]) continue;
        if (n != i) j->slices[n] = j->slices[i];
        numbers[n++] = (uint32_t)i;
    }
    return n;
}

/* What is odd about a volume, and does not keep it out. */
static void count(msfl_items *items, const msfl_stack *stack) {
    items->n_stacked += stack->n > 1;
    items->n_single += stack->n == 1;
    items->n_doubled += stack->n_duplicates > 0;
    items->n_uneven += stack->uneven;
}

msfl_status msfl_items_stack(msfl_items *items, msfl_pool *pool, const msfl_observer *observer) {
    job j = {.items = items};
    msfl_items out = {0};
    msfl_series series = {0};
    const size_t n = items->n;
    j.slices = msfl_alloc(n, sizeof *j.slices);
    j.is_slice = msfl_alloc(n, sizeof *j.is_slice);
    j.is_burned_in = msfl_alloc(n, sizeof *j.is_burned_in);
    j.patients = msfl_alloc(n, sizeof *j.patients);
    uint32_t *numbers = msfl_alloc(n, sizeof *numbers);
    msfl_status status = MSFL_NO_MEMORY;
    if (j.slices == NULL || j.is_slice == NULL || j.is_burned_in == NULL || j.patients == NULL || numbers == NULL)
        goto done;
    msfl_progress_init(&j.progress, observer, "reading headers", n);
    status = msfl_pool_run(pool, n, read_header, &j);
    msfl_progress_clear(&j.progress);
    if (status != MSFL_OK) goto done;
    const size_t n_slices = move_together(&j, numbers);
    if (n_slices == 0) goto done;
    status = msfl_series_sort(j.slices, n_slices, &series);
    msfl_free(j.slices); /* the largest of all this */
    j.slices = NULL;
    if (status == MSFL_OK) status = msfl_items_reserve(&out, series.n_stacks + n - n_slices);
    if (status == MSFL_OK) {
        out.files = msfl_alloc(n, sizeof *out.files); /* one of each item, in another order */
        out.files_capacity = n;
        if (out.files == NULL) status = MSFL_NO_MEMORY;
    }
    for (size_t i = 0; i < series.n_stacks && status == MSFL_OK; i++) {
        bool taken;
        status = join(&j, &series, &series.stacks[i], numbers, observer, &out, &taken);
        items->n_incomplete += !taken;
        if (taken) count(items, &series.stacks[i]);
    }
    for (size_t i = 0; i < n && status == MSFL_OK; i++)
        if (!j.is_slice[i]) status = keep(items, i, &out);
    if (status == MSFL_OK) replace(items, &out);
    if (status == MSFL_OK && items->n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "none of the series makes a whole volume");
    }
done:
    msfl_series_clear(&series);
    msfl_items_clear(&out);
    msfl_free(j.slices);
    msfl_free(j.is_slice);
    msfl_free(j.is_burned_in);
    msfl_free(j.patients);
    msfl_free(numbers);
    return status;
}
