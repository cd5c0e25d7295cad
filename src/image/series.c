#include "image/series.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SAME_DIRECTION = 1e-3, SAME_PLACE_MM = 1e-3, SAME_SPACING = 1e-4;

bool msfl_slice_of(const msfl_dicom *dicom, const msfl_image *image, msfl_slice *out) {
    if (image->depth != 1 || image->times != 1) return false;
    *out = (msfl_slice){.has_place = dicom->has_place,
                        .instance = dicom->has_instance ? dicom->instance : 0,
                        .width = image->width,
                        .height = image->height,
                        .channels = image->channels,
                        .bits = image->bits,
                        .kind = image->kind,
                        .colour = image->colour,
                        .spacing = {image->spacing[0], image->spacing[1]}};
    memcpy(out->series, dicom->series, sizeof out->series);
    memcpy(out->position, dicom->position, sizeof out->position);
    memcpy(out->orientation, dicom->orientation, sizeof out->orientation);
    return true;
}

/* Where a slice lies along the normal of its plane. */
static double height_of(const msfl_slice *s) {
    const double *r = s->orientation, *c = s->orientation + 3, *p = s->position;
    return (r[1] * c[2] - r[2] * c[1]) * p[0] + (r[2] * c[0] - r[0] * c[2]) * p[1] + (r[0] * c[1] - r[1] * c[0]) * p[2];
}

static bool together(const msfl_slice *a, const msfl_slice *b) {
    if (memcmp(a->series, b->series, sizeof a->series) != 0 || a->has_place != b->has_place || a->width != b->width ||
        a->height != b->height || a->channels != b->channels || a->bits != b->bits || a->kind != b->kind ||
        a->colour != b->colour) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (fabs(a->spacing[i] - b->spacing[i]) > SAME_SPACING * fabs(a->spacing[i])) return false;
    }
    for (int i = 0; i < 6 && a->has_place; i++) {
        if (fabs(a->orientation[i] - b->orientation[i]) > SAME_DIRECTION) return false;
    }
    return true;
}

typedef struct keyed {
    const msfl_slice *slices;
    uint32_t *stack_of;
    double *heights;
} keyed;

static int compare(const void *a, const void *b, void *ctx) {
    const keyed *k = ctx;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (k->stack_of[i] != k->stack_of[j]) return k->stack_of[i] < k->stack_of[j] ? -1 : 1;
    /* In whole steps, so that the order is one: "almost equal" would not carry through. */
    double x = k->heights[i], y = k->heights[j];
    if (x != y) return x < y ? -1 : 1;
    if (k->slices[i].instance != k->slices[j].instance) return k->slices[i].instance < k->slices[j].instance ? -1 : 1;
    return i < j ? -1 : i > j;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Slices of a volume lie on one line, with a tilted gantry too: those that do not belong to another one, which only
 * has the same heights. */
static uint32_t count_aside(const msfl_slice *slices, const uint32_t *order, const double *heights, size_t n) {
    const msfl_slice *first = &slices[order[0]], *last = &slices[order[n - 1]];
    const double span = heights[order[n - 1]] - heights[order[0]];
    double wide = first->spacing[0] > first->spacing[1] ? first->spacing[0] : first->spacing[1];
    if (!(wide > 0)) wide = 1;
    uint32_t aside = 0;
    for (size_t i = 1; i < n; i++) {
        const double share = span > 0 ? (heights[order[i]] - heights[order[0]]) / span : 0;
        double off = 0;
        for (int k = 0; k < 3; k++) {
            double d = slices[order[i]].position[k] - first->position[k] -
                       share * (span > 0 ? last->position[k] - first->position[k] : 0);
            off += d * d;
        }
        aside += !(sqrt(off) <= wide / 2);
    }
    return aside;
}

const char *msfl_stack_fault(const msfl_stack *stack) {
    if (stack->n_gaps > 0) return "slices are missing";
    if (stack->n_aside > 0) return "some of its slices lie beside the others";
    if (!stack->has_place && stack->n_duplicates > 0) return "neither places nor numbers tell the order of its slices";
    return NULL;
}

static msfl_status measure(const msfl_slice *slices, const uint32_t *order, const double *heights, msfl_stack *stack) {
    for (size_t i = 1; i < stack->n && !stack->has_place; i++)
        stack->n_duplicates += slices[order[i]].instance == slices[order[i - 1]].instance;
    if (!stack->has_place || stack->n < 2) return MSFL_OK;
    stack->n_aside = count_aside(slices, order, heights, stack->n);
    double *steps = msfl_alloc(stack->n, sizeof *steps);
    if (steps == NULL) return MSFL_NO_MEMORY;
    size_t n = 0;
    for (size_t i = 1; i < stack->n; i++) {
        double step = heights[order[i]] - heights[order[i - 1]];
        if (step < SAME_PLACE_MM) {
            stack->n_duplicates++;
        } else {
            steps[n++] = step;
        }
    }
    qsort(steps, n, sizeof *steps, by_size);
    if (n > 0) stack->spacing = steps[(n - 1) / 2];
    for (size_t i = 0; i < n; i++) {
        stack->uneven |= fabs(steps[i] - stack->spacing) > 0.1 * stack->spacing;
        if (steps[i] <= 1.5 * stack->spacing) continue;
        stack->n_gaps++;
        double missing = round(steps[i] / stack->spacing) - 1;
        stack->n_missing += missing < 1e6 ? (uint32_t)missing : 1000000;
    }
    msfl_free(steps);
    return MSFL_OK;
}

/* The stack of each slice: that of the first that it goes together with. Stacks are compared by their first slice, and
 * neighbours in the list mostly belong together, so the last one found is tried first. */
static msfl_status assign(const msfl_slice *slices, size_t n, uint32_t *stack_of, uint32_t **firsts, size_t *n_stacks) {
    size_t capacity = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        size_t found = *n_stacks;
        if (*n_stacks > 0 && together(&slices[(*firsts)[last]], &slices[i])) found = last;
        for (size_t k = 0; k < *n_stacks && found == *n_stacks; k++) {
            if (together(&slices[(*firsts)[k]], &slices[i])) found = k;
        }
        if (found == *n_stacks) {
            void *array = *firsts;
            msfl_status status = msfl_grow(&array, &capacity, *n_stacks + 1, sizeof **firsts);
            *firsts = array;
            if (status != MSFL_OK) return status;
            (*firsts)[(*n_stacks)++] = (uint32_t)i;
        }
        stack_of[i] = (uint32_t)(last = found);
    }
    return MSFL_OK;
}

msfl_status msfl_series_sort(const msfl_slice *slices, size_t n, msfl_series *out) {
    if (n > MSFL_SERIES_FILES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%zu slices; at most %d are sorted at once", n, MSFL_SERIES_FILES_MAX);
    }
    msfl_series s = {.n = n, .order = msfl_alloc(n, sizeof *s.order)};
    keyed k = {slices, msfl_alloc(n, sizeof *k.stack_of), msfl_alloc(n, sizeof *k.heights)};
    uint32_t *firsts = NULL;
    msfl_status status = MSFL_NO_MEMORY;
    if (s.order == NULL || k.stack_of == NULL || k.heights == NULL) goto done;
    status = assign(slices, n, k.stack_of, &firsts, &s.n_stacks);
    if (status != MSFL_OK) goto done;
    for (size_t i = 0; i < n; i++) {
        s.order[i] = (uint32_t)i;
        k.heights[i] = slices[i].has_place ? rint(height_of(&slices[i]) / SAME_PLACE_MM) * SAME_PLACE_MM : 0;
    }
    qsort_r(s.order, n, sizeof *s.order, compare, &k);
    s.stacks = msfl_alloc(s.n_stacks, sizeof *s.stacks);
    status = s.stacks == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (size_t i = 0, at = 0; i < s.n_stacks && status == MSFL_OK; i++) {
        msfl_stack *stack = &s.stacks[i];
        stack->first = at;
        stack->has_place = slices[firsts[i]].has_place;
        while (at < n && k.stack_of[s.order[at]] == i)
            at++;
        stack->n = at - stack->first;
        status = measure(slices, s.order + stack->first, k.heights, stack);
    }
done:
    msfl_free(k.stack_of);
    msfl_free(k.heights);
    msfl_free(firsts);
    if (status != MSFL_OK) {
        msfl_series_clear(&s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void msfl_series_clear(msfl_series *series) {
    msfl_free(series->order);
    msfl_free(series->stacks);
    *series = (msfl_series){0};
}
