#include "image/series.h"

#include "base/error.h"
#include "base/mem.h"
#include "image/decode.h"
#include "image/fault.h"

#include <math.h>
#include <string.h>

typedef struct volume {
    msfl_image image;
    double first[3], last[3]; /* positions of the first and last slice taken */
    size_t slice_bytes;
    uint32_t n;
} volume;

/* Room for all of them, shaped by the first. */
static msfl_status begin(const char *path, msfl_image *slice, size_t n, volume *v) {
    v->image = *slice;
    v->image.samples = NULL;
    v->image.depth = (uint32_t)n;
    v->image.rescales = msfl_alloc(n, sizeof *v->image.rescales);
    /* The tables go with it. */
    void *samples = slice->samples;
    *slice = (msfl_image){.samples = samples};
    v->slice_bytes = msfl_image_frame_samples(&v->image) * (v->image.bits / 8);
    if (v->image.rescales == NULL) return MSFL_NO_MEMORY;
    return msfl_image_allocate(path, &v->image);
}

static msfl_status add(const char *path, size_t n, volume *v) {
    msfl_image_facts facts = {0};
    msfl_image slice = {0};
    msfl_status status = msfl_image_open(path, false, &facts, &slice);
    if (status != MSFL_OK) return status;
    msfl_rescale rescale = slice.rescale;
    bool placed = facts.dicom.has_place;
    if (facts.format != MSFL_FORMAT_DICOM || slice.depth != 1) {
        status = msfl_fault_fail(MSFL_FAULT_INCOMPLETE, "%s: not a single slice", path);
    } else if (v->n == 0) {
        memcpy(v->first, facts.dicom.position, sizeof v->first);
        status = begin(path, &slice, n, v);
    } else if (slice.width != v->image.width || slice.height != v->image.height ||
               slice.channels != v->image.channels || slice.bits != v->image.bits || slice.kind != v->image.kind ||
               slice.colour != v->image.colour) {
        status = msfl_fault_fail(MSFL_FAULT_INCOMPLETE, "%s: of another size or type than the slices before it", path);
    }
    double moved = 0;
    for (int i = 0; i < 3 && v->n > 0; i++)
        moved += fabs(facts.dicom.position[i] - v->last[i]);
    bool duplicate = v->n > 0 && placed && moved < 1e-3;
    if (status == MSFL_OK && !duplicate && v->image.samples != NULL && slice.samples != NULL) {
        memcpy((uint8_t *)v->image.samples + v->n * v->slice_bytes, slice.samples, v->slice_bytes);
        memcpy(v->last, facts.dicom.position, sizeof v->last);
        v->image.rescales[v->n++] = rescale;
    }
    msfl_image_clear(&slice);
    return status;
}

static void finish(const msfl_stack *stack, volume *v) {
    msfl_image *i = &v->image;
    i->depth = v->n;
    if (stack->has_place && v->n > 1) {
        double length = 0;
        for (int k = 0; k < 3; k++) {
            double step = (v->last[k] - v->first[k]) / (v->n - 1);
            length += step * step;
            i->affine[k][2] = k < 2 ? -step : step;
        }
        i->spacing[2] = sqrt(length);
    }
    bool differ = false;
    for (uint32_t k = 1; k < v->n; k++) {
        differ |= i->rescales[k].slope != i->rescales[0].slope || i->rescales[k].intercept != i->rescales[0].intercept;
    }
    if (!differ) {
        msfl_free(i->rescales);
        i->rescales = NULL;
    }
}

msfl_status msfl_series_load(const char *const *paths, const msfl_stack *stack, msfl_image *out) {
    if (stack->n == 0) return msfl_fail(MSFL_ERR_USAGE, "a volume of no slices was asked for");
    const char *fault = msfl_stack_fault(stack);
    if (fault != NULL) return msfl_fault_fail(MSFL_FAULT_INCOMPLETE, "%s and its series: %s", paths[0], fault);
    volume v = {0};
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < stack->n && status == MSFL_OK; i++)
        status = add(paths[i], stack->n, &v);
    if (status != MSFL_OK) {
        msfl_image_clear(&v.image);
        return status;
    }
    finish(stack, &v);
    *out = v.image;
    return MSFL_OK;
}
